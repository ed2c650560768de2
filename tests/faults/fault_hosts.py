"""Real training hosts for the fault tests: started, killed, started again; the log tells what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from daemon_samples import all_events, await_that, document, job, settings_in, write_data, write_plan

from daemon.settings import Settings
from store import PlanStore

HOST = """
import json, sys
from pathlib import Path
from daemon.logs import configure_logs
from daemon.service import serve
from daemon.settings import Settings
configure_logs()
settings = Settings.from_sources({}, {}, json.loads(sys.argv[1]))
raise SystemExit(serve(settings, until_idle=sys.argv[2] == "idle"))
"""

# Long enough to be killed in the middle: no early end, a checkpoint every few steps.
PARAMS = {
    "LightGBM": {"rounds": 400, "patience": 400, "chunk_rounds": 20},
    "LSTM": {"epochs": 20, "patience": 20, "batch_rows": 64, "hidden": 16},
}


def place(
    directory: Path, *, families: tuple[str, ...], lease_seconds: float = 30.0, stop_seconds: float = 20.0
) -> Settings:
    """An installation with data and a plan that waits in the drop folder, renamed in."""
    settings = settings_in(
        directory,
        params={name: PARAMS[name] for name in families},
        checkpoint_rounds=40,
        checkpoint_seconds=5.0,
        lease_seconds=lease_seconds,
        stop_seconds=stop_seconds,
    )
    write_data(directory / "data", rows=900)
    plan = write_plan(directory / "plan", document(job(families)))
    settings.inbox_dir.mkdir(parents=True)
    plan.rename(settings.inbox_dir / "plan")
    return settings


def start_host(
    settings: Settings, *, until_idle: bool = False, log: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a daemon on an installation, in a process of its own."""
    given = json.dumps(given_of(settings))
    words = [sys.executable, "-P", "-c", HOST, given, "idle" if until_idle else "serve"]
    with (log or settings.results_dir.parent / "host.log").open("ab") as output:
        return subprocess.Popen(words, stdout=output, stderr=output)


def given_of(settings: Settings) -> dict[str, Any]:
    """What a daemon in a process of its own is told, as JSON takes it."""
    return {
        "results_dir": str(settings.results_dir),
        "output_dir": str(settings.output_dir),
        "inbox_dir": str(settings.inbox_dir),
        "data_dir": str(settings.data_dir),
        "database_url": settings.database_url,
        "params": dict(settings.params),
        "web_listen": settings.web_listen or "off",
        **{
            name: getattr(settings, name)
            for name in (
                *("cpu_slots", "settle_seconds", "rescan_seconds", "poll_seconds", "progress_seconds"),
                *("checkpoint_rounds", "checkpoint_seconds", "lease_seconds", "stop_seconds", "host_name"),
                *("warm_children",),
            )
        },
    }


def await_checkpoint(store: PlanStore, family: str, *, step: int) -> None:
    """Wait until a fit of a family has a durable checkpoint of at least so many steps."""

    def saved() -> bool:
        fits = {fit.id for fit in store.reading.fits(family=family)}
        return any(
            event.fit in fits and event.data["step"] >= step for event in all_events(store, "CheckpointSaved")
        )

    await_that(saved, f"checkpoint of {family} at step {step}")


def kill(host: subprocess.Popen[bytes]) -> list[int]:
    """Kill -9 a daemon, and return the processes that were its children."""
    children = [child.pid for child in psutil.Process(host.pid).children(recursive=True)]
    os.kill(host.pid, signal.SIGKILL)
    host.wait()
    return children


def is_running(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def completions(store: PlanStore) -> Counter[str]:
    """How often the log says that each fit succeeded, by name."""
    names = {fit.id: fit.name for fit in store.reading.fits()}
    return Counter(names[event.fit or ""] for event in all_events(store, "FitSucceeded"))


def bundles(store: PlanStore) -> dict[str, dict[str, bytes]]:
    """Every bundle's files, by the name of its fit."""
    return {
        fit.name: {path.name: path.read_bytes() for path in sorted(Path(fit.bundle or "").iterdir())}
        for fit in store.reading.fits()
    }


def events_of(store: PlanStore, family: str, *kinds: str) -> list[dict[str, Any]]:
    """The payloads of a family's events of some kinds, in order."""
    fits = {fit.id for fit in store.reading.fits(family=family)}
    return [dict(event.data) for event in all_events(store, *kinds) if event.fit in fits]
