"""The way to the event log: the host's place is taken, the log opened, however long that takes.

A machine that starts may be quicker than its database, a full disk may be emptied: the daemon waits and says
what for. What waiting cannot mend ends it at once.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import structlog

from daemon.identity import Identity, start_ticks
from daemon.lock import held_lock
from daemon.notify import Notifier
from daemon.settings import Settings
from daemon.workplace import Workplace
from store.errors import DatabaseUnavailable, HostTaken
from store.plan_store import PlanStore, open_store
from store.residence import Residence, take_residence

OPENING_SECONDS = 1800.0  # a long log may have to be brought up to date
RETRY_SECONDS, RETRY_SECONDS_MAX = 0.25, 5.0
LINGER_SECONDS = 20.0  # until a server gives up the connection of a machine that lost its power
SAY_AGAIN_SECONDS = 60.0
_MAY_END = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE))
_HOLDER = re.compile(r"pid (\d+) on ")  # as `holder_words` has it

log = structlog.get_logger("starting")


@contextmanager
def opened_store(
    settings: Settings,
    here: Identity,
    notifier: Notifier,
    *,
    patient: bool = True,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[tuple[PlanStore, Residence]]:
    """Yield the event log with the one daemon's place of this host on it; `patient` waits for what may come.

    Raises:
        AlreadyServing: another daemon works on the same results directory.
        HostTaken: another daemon works on the same log under the same host name.
        DatabaseUnsafe: the log cannot be kept there.
        DatabaseUnavailable: it does not answer, and nobody is `patient`.
    """
    waiting = _Waiting(notifier, patient=patient, sleep=sleep)
    with ExitStack() as stack:
        _lock_results(settings, here, waiting, stack)
        residence = _taken(settings, here, waiting)
        stack.callback(residence.close)
        yield stack.enter_context(_opened(settings, waiting)), residence


def holder_words(here: Identity) -> str:
    """Return how a daemon names itself to one that comes second."""
    return f"pid {here.pid} on {here.host}{_boot_words(here)}"


def _boot_words(here: Identity) -> str:
    return f" (boot {here.boot_id[:8]})"


def _runs_here(holder: str, here: Identity) -> bool:
    """Whether a holder is a process of this boot that has not ended."""
    pid = _HOLDER.match(holder)
    return _boot_words(here) in holder and (pid is None or start_ticks(int(pid[1])) is not None)


def _lock_results(settings: Settings, here: Identity, waiting: _Waiting, stack: ExitStack) -> None:
    """Hold the lock of the results directory; a disk that takes no new file may be emptied."""
    while True:
        try:
            stack.enter_context(held_lock(Workplace.of(settings).lock_path, holder_words(here)))
        except OSError as error:
            if error.errno not in _MAY_END:
                raise
            waiting.wait(f"{error.strerror} ({error.filename})", error)
        else:
            return


def _taken(settings: Settings, here: Identity, waiting: _Waiting) -> Residence:
    """Take the host's place; a holder that does not run here may be one that the server has not given up yet.

    Its machine lost its power, or it was killed while the server was frozen or out of reach.
    """
    began_at = time.monotonic()
    while True:
        try:
            return take_residence(settings.database_url, here.host, holder=holder_words(here))
        except HostTaken as taken:
            if _runs_here(taken.holder, here) or time.monotonic() - began_at > LINGER_SECONDS:
                raise
            waiting.wait(f"the place of this host is still held: {taken.holder}", taken)
        except DatabaseUnavailable as error:
            waiting.wait(error.cause, error)


def _opened(settings: Settings, waiting: _Waiting) -> PlanStore:
    while True:
        try:
            return open_store(settings.database_url, policy=settings.retry_policy)
        except DatabaseUnavailable as error:
            waiting.wait(error.cause, error)


class _Waiting:
    """Waits a little longer each time, and says what for: always in the status, now and then in the log."""

    def __init__(self, notifier: Notifier, *, patient: bool, sleep: Callable[[float], object]) -> None:
        self._notifier, self._patient, self._sleep = notifier, patient, sleep
        self._seconds = RETRY_SECONDS
        self._say_at = float("-inf")
        notifier.starting("opening the event log", within_seconds=OPENING_SECONDS)

    def wait(self, cause: str, error: Exception) -> None:
        """Wait for the next try; raises the error where nobody is patient."""
        if not self._patient:
            raise error
        words = " ".join(cause.split())
        self._notifier.starting(f"waiting for the event log: {words}", within_seconds=OPENING_SECONDS)
        if time.monotonic() >= self._say_at:
            self._say_at = time.monotonic() + SAY_AGAIN_SECONDS
            log.warning("waiting for the event log", cause=words)
        self._sleep(self._seconds)
        self._seconds = min(2 * self._seconds, RETRY_SECONDS_MAX)
