"""Training hosts that are stopped, killed and frozen at a chosen stage of their life."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from daemon_samples import PATIENCE_SECONDS, all_events, await_that
from fault_hosts import given_of

from daemon.settings import Settings
from store import PlanStore, open_store

# The daemon with a defect or a delay planted before it begins; {planted} is Python.
PLANTED = """
import json, os, signal, socket, sys, threading, time
from pathlib import Path
{planted}
from daemon.logs import configure_logs
from daemon.service import serve
from daemon.settings import Settings
configure_logs()
settings = Settings.from_sources({{}}, {{}}, json.loads(sys.argv[1]))
raise SystemExit(serve(settings))
"""


@dataclass(slots=True)
class Manager:
    """The service manager's end of the socket; `words` are all that the daemon has said, oldest first."""

    channel: socket.socket
    address: str
    words: list[str]

    def hear(self, what: str, *, timeout_seconds: float = PATIENCE_SECONDS) -> str:
        """Wait for words that hold `what` and return them; AssertionError when none come in time."""
        self.channel.settimeout(timeout_seconds)
        while True:
            try:
                self.words.append(self.channel.recv(4096).decode())
            except TimeoutError:
                raise AssertionError(f"no {what!r} in {self.words}") from None
            if what in self.words[-1]:
                return self.words[-1]


@contextlib.contextmanager
def manager(directory: Path) -> Iterator[Manager]:
    """A service manager that listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        address = str(directory / "notify")
        channel.bind(address)
        yield Manager(channel, address, [])


@contextlib.contextmanager
def running(
    settings: Settings, *, planted: str = "", watched: Manager | None = None, watchdog_seconds: float = 60.0
) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon in a process of its own, killed at the end if it still runs."""
    environ = dict(os.environ)
    if watched is not None:
        environ |= {"NOTIFY_SOCKET": watched.address, "WATCHDOG_USEC": str(int(watchdog_seconds * 1e6))}
    words = [sys.executable, "-P", "-c", PLANTED.format(planted=planted), json.dumps(given_of(settings))]
    settings.results_dir.parent.mkdir(parents=True, exist_ok=True)
    with (settings.results_dir.parent / "host.log").open("ab") as output:
        host = subprocess.Popen(words, stdout=output, stderr=output, env=environ)
    try:
        yield host
    finally:
        if host.poll() is None:
            host.kill()
        host.wait()


def stopped(host: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
    """Tell a daemon to stop and return its exit code; nothing it started is left."""
    children = descendants(host.pid)
    host.send_signal(number)
    code = host.wait(PATIENCE_SECONDS)
    await_that(lambda: not any(child.is_running() for child in children), "end of its processes")
    return code


def descendants(pid: int) -> list[psutil.Process]:
    """The processes below one; a number given to another process meanwhile is not the same process."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def await_log(settings: Settings, words: str) -> None:
    """Wait until the daemon's own log holds some words; without them the log itself is shown."""
    path = settings.results_dir.parent / "host.log"

    def logged() -> str:
        return path.read_text(encoding="utf-8", errors="replace")

    try:
        await_that(lambda: words in logged(), f"{words!r} in the log")
    except AssertionError as error:
        raise AssertionError(f"{error}: {logged()[-2000:]}") from None


def await_store(settings: Settings, condition: Callable[[PlanStore], object], what: str) -> None:
    """Wait until the event log, once there is one, holds what is wanted."""
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    await_that(path.is_file, "event log")
    await_that(lambda: _has_tables(settings), "tables")
    with open_store(settings.database_url) as store:
        await_that(lambda: condition(store), what)


def is_ready(store: PlanStore) -> bool:
    """Whether a daemon has begun."""
    return bool(all_events(store, "DaemonStarted"))


def _has_tables(settings: Settings) -> bool:
    from store.revision import is_at_head

    return is_at_head(settings.database_url)
