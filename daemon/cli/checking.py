"""``trainwright doctor``: what this machine has and lacks, each finding with its fix."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from daemon.cli.configuration import settings_for
from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import json_option, results_option
from daemon.settings import Settings
from store import StoreError, open_store

OK, WARN, FAIL = "ok", "warn", "fail"
DISK_FLOOR_BYTES = 2 * 1024**3
WATCHES_MIN = 1024
LIBRARIES = ("lightgbm", "xgboost", "torch", "pandas", "pyarrow", "sqlmodel", "psycopg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: ok, warn or fail, and what to do unless it is ok."""

    name: str
    state: str
    words: str
    fix: str = ""


@click.command(epilog="Example: trainwright doctor")
@results_option
@json_option
def doctor(*, as_json: bool, config: Path | None, results_dir: Path | None) -> None:
    """Check Python, libraries, cores, GPU, disk, folders and the event log."""
    settings = settings_for(config, results_dir=results_dir)
    findings = [finding for check in CHECKS for finding in check(settings)]
    if as_json:
        emit({"findings": [asdict(finding) for finding in findings]})
    else:
        say(table(("", "check", "found"), [(found.state, found.name, found.words) for found in findings]))
        for found in findings:
            if found.fix:
                say(f"fix   {found.name}: {found.fix}")
    raise SystemExit(1 if any(found.state == FAIL for found in findings) else 0)


def _python(_settings: Settings) -> Iterator[Finding]:
    inside = sys.prefix != sys.base_prefix
    fix = "" if inside else "install into an environment of its own: make demo makes one"
    yield Finding(name="python", state=OK if inside else WARN, words=sys.version.split()[0], fix=fix)


def _libraries(_settings: Settings) -> Iterator[Finding]:
    for name in LIBRARIES:
        if importlib.util.find_spec(name) is None:
            extra = {"torch": "torch", "psycopg": "postgres"}.get(name)
            fix = f"pip install 'trainwright[{extra}]'" if extra else f"pip install {name}"
            yield Finding(name=name, state=WARN if extra else FAIL, words="not installed", fix=fix)
        else:
            yield Finding(name=name, state=OK, words=importlib.metadata.version(name))


def _cores(settings: Settings) -> Iterator[Finding]:
    words = f"{len(os.sched_getaffinity(0))} usable, {settings.cpu_slots} CPU slots"
    fits = settings.cpu_slots * settings.threads_per_fit <= len(os.sched_getaffinity(0))
    fix = "" if fits else "more threads than cores: lower cpu_slots or threads_per_fit"
    yield Finding(name="cores", state=OK if fits else WARN, words=words, fix=fix)


def _gpu(_settings: Settings) -> Iterator[Finding]:
    device = Path("/proc/driver/nvidia/gpus")
    cards = sorted(path.name for path in device.iterdir()) if device.is_dir() else []
    words = f"{len(cards)} ({', '.join(cards)})" if cards else "none; GPU fits train on the CPU and say so"
    yield Finding(name="gpu", state=OK, words=words)


def _disk(settings: Settings) -> Iterator[Finding]:
    place = next(path for path in (settings.results_dir, *settings.results_dir.parents) if path.exists())
    free = shutil.disk_usage(place).free
    state = OK if free > DISK_FLOOR_BYTES else WARN
    fix = "" if state == OK else f"free some space on {place}: checkpoints and models need it"
    yield Finding(name="disk", state=state, words=f"{free / 1e9:.1f} GB free at {place}", fix=fix)


def _watches(_settings: Settings) -> Iterator[Finding]:
    limit = Path("/proc/sys/fs/inotify/max_user_watches")
    count = int(limit.read_text(encoding="ascii")) if limit.exists() else 0
    state = OK if count >= WATCHES_MIN else WARN
    fix = (
        ""
        if state == OK
        else "sysctl fs.inotify.max_user_watches=65536; until then the inbox is seen by its timer"
    )
    yield Finding(name="inotify", state=state, words=f"{count} watches", fix=fix)


def _folders(settings: Settings) -> Iterator[Finding]:
    for name, path in (("results", settings.results_dir), ("inbox", settings.inbox_dir)):
        existing = next(place for place in (path, *path.parents) if place.exists())
        writable = os.access(existing, os.W_OK)
        fix = "" if writable else f"give the account of the daemon the right to write {existing}"
        yield Finding(name=name, state=OK if writable else FAIL, words=str(path), fix=fix)


def _event_log(settings: Settings) -> Iterator[Finding]:
    url = settings.database_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        yield Finding(name="event log", state=OK, words=f"none yet at {url}")
        return
    try:
        with open_store(url, create=False, migrate=False) as store:
            found = store.info()
    except StoreError as error:
        yield Finding(name="event log", state=FAIL, words=str(error), fix="trainwright db upgrade")
        return
    yield Finding(
        name="event log", state=OK, words=f"{found.events:,} events, schema {found.schema}, {found.engine}"
    )
    for warning in found.warnings:
        yield Finding(name="event log", state=WARN, words=warning)


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _python,
    _libraries,
    _cores,
    _gpu,
    _disk,
    _watches,
    _folders,
    _event_log,
)
