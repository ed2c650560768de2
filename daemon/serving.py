"""The page is served by a process of its own, which the daemon starts and starts again.

Nothing of it touches the loop or a fit: it reads the log like everybody else, comes behind the fits, and dies
with the daemon. What goes wrong with it is told in the log and in the status, and tried again later.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import structlog

from daemon.errands import environment_of
from daemon.handed import handed_sockets
from daemon.settings import Settings
from daemon.settings_reading import PREFIX
from daemon.web.binding import PlaceTaken, require_free
from daemon.web.listening import listening_at
from executors.lives import OwnProcess, is_readable

LIVE = frozenset({"web_listen", "web_names", "web_token_file", "web_read_token_file"})
WAIT_SECONDS, WAIT_SECONDS_MAX = 1.0, 60.0  # before it is started again: doubled each time
STABLE_SECONDS = 60.0  # after which a life counts as a good one
END_SECONDS = 5.0  # for its goodbye
ARENAS = "MALLOC_ARENA_MAX"  # of its threads (mallopt(3)): as many as it needs, not eight a core
LIBRARIES = ("fastapi", "uvicorn", "prometheus_client", "multipart")
EXTRA_MISSING = "the page is not served: the extra is not installed; pip install 'trainwright[web]'"

log = structlog.get_logger("page")
Start = Callable[[Sequence[str], Sequence[int], dict[str, str]], subprocess.Popen[bytes]]


class Serving:
    """The daemon's duty to have the page served."""

    def __init__(
        self,
        settings: Settings,
        *,
        config: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        start: Start | None = None,
        is_installed: Callable[[], bool] | None = None,
    ) -> None:
        self.live = LIVE
        self._settings, self._config, self._clock = settings, config, clock
        self._begin, self._is_installed = start or _started, is_installed or _has_libraries
        self._process: subprocess.Popen[bytes] | None = None
        self._life: OwnProcess | None = None
        self._heard = b""
        self._descriptors: tuple[int, ...] = ()
        self._start_at = float("-inf")
        self._wait_seconds, self._began_at = WAIT_SECONDS, 0.0
        self._is_asked_to_end = False
        self.addresses: tuple[str, ...] = ()
        self.trouble: str | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process that serves, None while there is none."""
        return None if self._life is None else self._life.pid

    def start(self) -> None:
        """Take over the sockets that the service manager made; the process waits for the first turn."""
        self._descriptors = handed_sockets(os.environ)
        if self._settings.web_listen is not None and not self._is_installed():
            self.trouble, self._start_at = EXTRA_MISSING, float("inf")
            log.info(EXTRA_MISSING)

    def turn(self, rang: frozenset[str]) -> None:  # noqa: ARG002 (it looks each time)
        """Hear what the process says, note its end, start it when it is time."""
        if self._life is not None:
            self._hear()
            if self._life.code() is not None:
                self._note_end(self._life.code() or 0)
        elif self._settings.web_listen is not None and self._clock() >= self._start_at:
            self._start()

    def reload(self, settings: Settings) -> None:
        """Serve by these settings: the process is told to stop, and another follows."""
        changed = any(getattr(settings, name) != getattr(self._settings, name) for name in LIVE)
        self._settings = settings
        if changed and self._start_at != float("inf"):
            self._wait_seconds, self._start_at = WAIT_SECONDS, float("-inf")
            self.trouble, self._is_asked_to_end = None, True
            if self._life is not None:
                self._life.signal(signal.SIGTERM)

    def stop(self) -> None:
        """Let the process say goodbye to those who listen, for a few seconds at most."""
        if self._life is None:
            return
        self._life.signal(signal.SIGTERM)
        self._life.awaited(END_SECONDS)
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._life is not None:
            self._life.kill()
            self._life.awaited(END_SECONDS)
        self._let_go()

    def _start(self) -> None:
        if not self._descriptors and (taken := _taken(self._settings)):
            self._fail(taken)
            self._wait_longer()
            return
        told = () if self._config is None else ("--config", str(self._config))
        handed = [word for number in self._descriptors for word in ("--descriptor", str(number))]
        words = [sys.executable, "-P", "-m", "daemon.web.process", str(os.getpid()), *handed, *told]
        try:
            process = self._begin(words, self._descriptors, _environment(self._settings))
        except OSError as error:
            self._fail(f"its process could not be started: {error}")
            return
        self._process, self._life = process, OwnProcess(process)
        self._heard, self._began_at, self.addresses = b"", self._clock(), ()
        self._is_asked_to_end = False
        os.set_blocking(self._output.fileno(), False)

    @property
    def _output(self) -> IO[bytes]:
        if self._process is None or self._process.stdout is None:
            raise ValueError("there is no process")
        return self._process.stdout

    def _hear(self) -> None:
        """Take the lines that the process has written."""
        while is_readable(self._output.fileno()) and (data := self._output.read()):
            self._heard += data
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            said = json.loads(line)
            if address := said.get("address"):
                self.addresses, self.trouble = (*self.addresses, address), None
                log.info("the page is served", address=address)
            elif problem := said.get("problem"):
                self._fail(problem)

    def _note_end(self, code: int) -> None:
        self._hear()
        lived = self._clock() - self._began_at
        self._let_go()
        if self._is_asked_to_end:
            return
        if lived >= STABLE_SECONDS:
            self._wait_seconds = WAIT_SECONDS
        if code != 0 and self.trouble is None:
            self._fail(f"its process ended with {code}; the lines before say why")
        if code != 0:
            self._wait_longer()

    def _wait_longer(self) -> None:
        self._start_at = self._clock() + self._wait_seconds
        self._wait_seconds = min(WAIT_SECONDS_MAX, 2 * self._wait_seconds)

    def _fail(self, problem: str) -> None:
        """Tell what is wrong, once for as long as it is the same."""
        if problem != self.trouble:
            self.trouble = problem
            log.warning("the page is not served; trying again", cause=problem)
        self._start_at = self._clock() + self._wait_seconds

    def _let_go(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = self._life = None


def _taken(settings: Settings) -> str:
    """Return why a port cannot be listened at, empty where it can: cheaper than a process that finds out."""
    place = listening_at(settings.web_listen)
    if place.path is None:
        try:
            require_free(place)
        except PlaceTaken as error:
            return str(error)
    return ""


def _has_libraries() -> bool:
    return all(find_spec(library) is not None for library in LIBRARIES)


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which the process serves by this daemon's settings, whoever said them."""
    told = {
        "WEB_LISTEN": settings.web_listen,
        "WEB_NAMES": " ".join(settings.web_names),
        "WEB_TOKEN_FILE": settings.web_token_file,
        "WEB_READ_TOKEN_FILE": settings.web_read_token_file,
    }
    said = {f"{PREFIX}{name}": str(value) for name, value in told.items() if value}
    return {ARENAS: "2", **environment_of(settings, os.environ), **said}


def _started(
    words: Sequence[str], descriptors: Sequence[int], environ: dict[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environ,
        pass_fds=descriptors,
        start_new_session=True,
    )
