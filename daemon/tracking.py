"""A tracking server is told of every fit that ends, by a process of its own.

A server that is slow or dead costs no fit any time and no stop more than a moment: the daemon starts the
process, looks whether it lives, and starts it again. It never loads what the process loads. Of several hosts
on one log that tell the same experiment, one does it for all of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import structlog

from daemon.errands import environment_of
from daemon.settings import Settings
from daemon.settings_reading import PREFIX
from executors.lives import OwnProcess
from store.residence import NoResidence, Residence

ENDS = ("FitSucceeded", "FitFailed", "FitCancelled")  # of them the final ones are told
LIVE = frozenset({"mlflow_uri", "mlflow_experiment"})
WAIT_SECONDS, WAIT_SECONDS_MAX = 1.0, 300.0  # before it is started again: doubled each time
STABLE_SECONDS = 60.0  # after which a life counts as a good one
END_SECONDS = 3.0  # for what ended just before the stop; the rest is told after the next start
EXTRA_MISSING = "fits are not tracked: the extra is not installed; pip install 'trainwright[mlflow]'"

log = structlog.get_logger("tracking")
Start = Callable[[Sequence[str], dict[str, str]], OwnProcess]


def tracking_duty(settings: Settings) -> str:
    """Return the name of the duty to tell the experiment, and of the bookmark how far it was told."""
    told = f"{settings.mlflow_uri}\0{settings.mlflow_experiment}"
    return f"tracking mlflow-{sha256(told.encode()).hexdigest()[:12]}"


def tracking_path(settings: Settings) -> Path:
    """Return where earlier versions noted how far the experiment was told."""
    return settings.results_dir / "tracking" / f"{tracking_duty(settings).partition(' ')[2]}.json"


class Tracking:
    """The daemon's duty to have fits tracked."""

    def __init__(
        self,
        settings: Settings,
        *,
        config: Path | None = None,
        residence: Residence | None = None,
        clock: Callable[[], float] = time.monotonic,
        start: Start | None = None,
        is_installed: Callable[[], bool] = lambda: find_spec("mlflow") is not None,
    ) -> None:
        self.live = LIVE
        self._settings, self._config, self._clock = settings, config, clock
        self._residence, self._duty = residence or NoResidence(), tracking_duty(settings)
        self._begin, self._is_installed = start or _started, is_installed
        self._life: OwnProcess | None = None
        self._start_at, self._began_at, self._wait_seconds = float("-inf"), 0.0, WAIT_SECONDS

    @property
    def pid(self) -> int | None:
        """The number of the process, None while there is none."""
        return None if self._life is None else self._life.pid

    def start(self) -> None:
        """Say what is missing; the process is started by the first turn, which is not in READY's way."""
        if self._settings.mlflow_uri is not None and not self._is_installed():
            self._start_at = float("inf")
            log.warning(EXTRA_MISSING)

    def turn(self, rang: frozenset[str]) -> None:  # noqa: ARG002 (it looks each time)
        """Note the process's end, and start it when it is time; end it when its duty is another host's."""
        if self._life is not None:
            if (code := self._life.code()) is not None:
                self._note_end(code)
            elif not self._residence.has(self._duty):
                self._life.signal(signal.SIGTERM)
        elif self._is_wanted and self._clock() >= self._start_at and self._residence.has(self._duty):
            self._start()

    @property
    def _is_wanted(self) -> bool:
        return self._settings.mlflow_uri is not None

    def reload(self, settings: Settings) -> None:
        """Track by these settings: the process is told to stop, and another follows."""
        changed = any(getattr(settings, name) != getattr(self._settings, name) for name in LIVE)
        self._settings = settings
        if changed:
            self._residence.leave(self._duty)
            self._duty = tracking_duty(settings)
            self._wait_seconds, self._start_at = WAIT_SECONDS, float("-inf")
            self.start()
            if self._life is not None:
                self._life.signal(signal.SIGTERM)

    def stop(self) -> None:
        """Let it tell of what has just ended, for a moment."""
        if self._life is not None:
            self._life.signal(signal.SIGTERM)
            self._life.awaited(END_SECONDS)
        self.close()

    def close(self) -> None:
        """End the process; what it had under way comes again after the next start."""
        if self._life is not None:
            self._life.kill()
            self._life.awaited(END_SECONDS)
            self._life = None
        self._residence.leave(self._duty)

    def _start(self) -> None:
        told = () if self._config is None else ("--config", str(self._config))
        words = [sys.executable, "-P", "-m", "daemon.tracking_process", str(os.getpid()), *told]
        environment = environment_of(self._settings, os.environ)
        environment |= {
            f"{PREFIX}MLFLOW_URI": str(self._settings.mlflow_uri),
            f"{PREFIX}MLFLOW_EXPERIMENT": self._settings.mlflow_experiment,
        }
        self._began_at = self._clock()
        try:
            self._life = self._begin(words, environment)
        except OSError as error:
            self._wait(f"its process could not be started: {error}")

    def _note_end(self, code: int) -> None:
        self._life = None
        if self._clock() - self._began_at >= STABLE_SECONDS:
            self._wait_seconds = WAIT_SECONDS
        if code != 0:
            self._wait(f"its process ended with {code}; the lines before say why")

    def _wait(self, cause: str) -> None:
        log.warning("fits are not tracked for now", cause=cause, again_seconds=self._wait_seconds)
        self._start_at = self._clock() + self._wait_seconds
        self._wait_seconds = min(WAIT_SECONDS_MAX, 2 * self._wait_seconds)


def _started(words: Sequence[str], environ: dict[str, str]) -> OwnProcess:
    return OwnProcess(subprocess.Popen(words, stdin=subprocess.DEVNULL, env=environ, start_new_session=True))
