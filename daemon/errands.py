"""Scheduled work that takes long: commands of our own in processes of their own, one after the other."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from daemon.schedule_entries import ARCHIVE, Entry
from daemon.settings import Settings
from daemon.settings_reading import PREFIX
from executors.lives import OwnProcess
from store.database import is_sqlite

Words = tuple[str, ...]
PLAN_PLACE = Path("globals", "training_plan")
RECEIPT_SECONDS = 600
END_SECONDS = 5.0
_STAMP = "%Y%m%dT%H%M%SZ"
_TAIL_BYTES = 8000
_TELLING = ("error: ", "plan rejected")


def steps_of(entry: Entry, settings: Settings, at: datetime, config: Path | None = None) -> tuple[Words, ...]:
    """Return the commands that do what an entry wants, in their order; `config` is the daemon's own file."""
    told = () if config is None else ("--config", str(config))
    match entry.do:
        case "plan":
            plan = str(settings.results_dir / PLAN_PLACE)
            wait = ("--wait-seconds", str(RECEIPT_SECONDS))
            return ("plan", "make", *told, *entry.arguments), ("submit", plan, *told, *wait)
        case "backup":
            return (("db", "backup", str(_backup_path(entry, settings, at)), *told),)
        case "archive" | "retain":
            age = ("--older-than", entry.older_than)
            archive: Words = ("db", "archive", *age, *told)
            return (archive,) if entry.do == ARCHIVE else (archive, ("db", "retain", *age, *told))
        case _:
            return (("db", "verify", *told),)


def environment_of(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which a command works where the daemon does, whatever named the places.

    An address with a password is not in it: what told the daemon tells the command.
    """
    places = {"RESULTS_DIR": settings.results_dir, "OUTPUT_DIR": settings.output_dir}
    places["INBOX_DIR"] = settings.inbox_dir
    if settings.data_dir is not None:
        places["DATA_DIR"] = settings.data_dir
    told = {f"{PREFIX}{name}": str(place) for name, place in places.items()}
    if is_sqlite(settings.database_url):
        told[f"{PREFIX}DATABASE_URL"] = settings.database_url
    return {**environ, **told}


def prune_backups(entry: Entry, settings: Settings) -> list[Path]:
    """Remove all but the newest backups that this entry made, and return what is gone; others' stay."""
    folder = _backup_folder(entry, settings)
    pattern = re.compile(rf"{re.escape(entry.name)}-\d{{8}}T\d{{6}}Z\.(db|jsonl\.gz)")
    with contextlib.suppress(OSError):
        made = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
        gone = made[: -entry.keep]
        for path in gone:
            path.unlink(missing_ok=True)
        return gone
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an errand ended: with exit code 0 and no words, or with what went wrong."""

    code: int
    sentence: str = ""


class Errand:
    """Commands one after the other, until one of them fails. What they say goes into a log of their own."""

    def __init__(
        self,
        steps: Sequence[Words],
        *,
        log: Path,
        environ: Mapping[str, str],
        seconds_max: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps, self._log, self._environ = list(steps), log, environ
        self._clock = clock
        self._until = float("inf") if seconds_max is None else clock() + seconds_max
        self._over = f"took longer than its limit of {seconds_max or 0:g} s (seconds_max) and was ended"
        self._is_over = False
        log.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            log.replace(log.with_name(f"{log.name}.1"))
        self._process = self._start()

    def ended(self) -> Ended | None:
        """Return how it ended, None while it goes on; the next command is started once one is done."""
        code = self._process.code()
        if code is None:
            if not self._is_over and self._clock() >= self._until:
                self._is_over = True
                self._process.kill()
            return None
        if self._is_over:
            return Ended(code=code, sentence=self._over)
        if code != 0:
            return Ended(code=code, sentence=last_words(self._log) or f"it ended with exit code {code}")
        if not self._steps:
            return Ended(code=0)
        try:
            self._process = self._start()
        except OSError as error:
            return Ended(code=1, sentence=f"it could not be started: {error}")
        return None

    def kill(self) -> None:
        """End it now, with everything it started; returns when it has ended."""
        self._steps.clear()
        self._process.kill()
        if self._process.code() is None:
            select.select([self._process.fileno()], [], [], END_SECONDS)
            self._process.code()

    def _start(self) -> OwnProcess:
        words = self._steps.pop(0)
        with self._log.open("ab") as log:
            log.write(f"$ trainwright {' '.join(words)}\n".encode())
            log.flush()
            return OwnProcess(
                subprocess.Popen(
                    [sys.executable, "-P", "-m", "daemon.errand_process", str(os.getpid()), *words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=dict(self._environ),
                    start_new_session=True,
                )
            )


def last_words(log: Path) -> str:
    """Return the sentence that says what went wrong: the last error, or else the last line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip() and not line.startswith("$ ")]
    errors = [line for line in said if line.startswith(_TELLING)]
    return (errors or said or [""])[-1].removeprefix("error: ")


def _backup_folder(entry: Entry, settings: Settings) -> Path:
    return entry.to or settings.results_dir / "backups"


def _backup_path(entry: Entry, settings: Settings, at: datetime) -> Path:
    suffix = ".db" if is_sqlite(settings.database_url) else ".jsonl.gz"
    return _backup_folder(entry, settings) / f"{entry.name}-{at.astimezone(UTC):{_STAMP}}{suffix}"
