"""Processes that a dead daemon of this host started and that outlived it: found, and ended.

Fits and their servers die with their daemon. What reads data or makes a plan does not, and a process that
hangs in a system call dies when that returns. All of them carry the name of the worker that started them in
their environment, which a process keeps whatever becomes of its parents.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from daemon.identity import Identity, is_dead

STARTED_BY = "TRAINWRIGHT_STARTED_BY"
END_SECONDS = 5.0
WORDS_MAX = 100
_PROCESSES = Path("/proc")
_MARK = f"{STARTED_BY}=".encode()

log = structlog.get_logger("leftovers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A process whose daemon is dead: its number, that daemon's name, and its command line."""

    pid: int
    worker: str
    words: str


@contextmanager
def marked(environ: MutableMapping[str, str], here: Identity) -> Iterator[None]:
    """While inside, every process that is started from here carries this daemon's name."""
    before = environ.get(STARTED_BY)
    environ[STARTED_BY] = here.worker
    try:
        yield
    finally:
        if before is None:
            environ.pop(STARTED_BY, None)
        else:
            environ[STARTED_BY] = before


def leftovers(here: Identity) -> tuple[Leftover, ...]:
    """Return the processes of dead daemons of this host; neither this one, nor those it comes from."""
    spared = set(_ancestors(os.getpid()))
    pids = [int(entry.name) for entry in _PROCESSES.iterdir() if entry.name.isdigit()]
    found = (_leftover(pid, here) for pid in pids if pid not in spared)
    return tuple(one for one in found if one is not None)


def end_leftovers(here: Identity) -> tuple[Leftover, ...]:
    """End the processes of dead daemons, and wait until they are gone; returns those that there were.

    They are killed without being asked: what they would still say nobody hears, and states of fits are whole
    on disk or not there.
    """
    found = leftovers(here)
    poll, opened = select.poll(), []
    for one in found:
        with contextlib.suppress(OSError):  # it has just ended, or is another's
            descriptor = os.pidfd_open(one.pid)
            opened.append(descriptor)
            poll.register(descriptor, select.POLLIN)
            if _leftover(one.pid, here) == one:  # still the same process under this number
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                log.warning("ended what a dead daemon left", pid=one.pid, command=one.words)
    deadline = time.monotonic() + END_SECONDS
    for descriptor in opened:
        while (left := deadline - time.monotonic()) > 0:
            if descriptor in {ready for ready, _ in poll.poll(left * 1000)}:
                poll.unregister(descriptor)
                break
        os.close(descriptor)
    return found


def _leftover(pid: int, here: Identity) -> Leftover | None:
    """Return what a process is, None where it is no daemon's, or its daemon is alive or of another host."""
    try:
        environment = (_PROCESSES / str(pid) / "environ").read_bytes()
        words = (_PROCESSES / str(pid) / "cmdline").read_bytes()
    except OSError:  # gone, or another user's
        return None
    marks = [entry for entry in environment.split(b"\0") if entry.startswith(_MARK)]
    if not marks:
        return None
    worker = marks[-1].removeprefix(_MARK).decode(errors="replace")
    known = Identity.of_worker(worker)
    if known is None or known.host != here.host or not is_dead(worker, here=here):
        return None
    line = words.replace(b"\0", b" ").decode(errors="replace").strip()
    return Leftover(pid=pid, worker=worker, words=line[:WORDS_MAX])


def _ancestors(pid: int) -> Iterator[int]:
    """Yield a process and all above it."""
    while pid > 0:
        yield pid
        try:
            stat = (_PROCESSES / str(pid) / "stat").read_bytes()
        except OSError:
            return
        pid = int(stat[stat.rindex(b")") + 2 :].split()[1])
