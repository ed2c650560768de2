"""Being told to stop before there is a loop that hears it. Light: loaded before everything else."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopAsked(BaseException):
    """A signal asked to stop while the daemon was starting; like KeyboardInterrupt nobody swallows it."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """While inside, a stop signal raises StopAsked wherever the main thread is (elsewhere: nothing).

    That is safe at any point: whatever the store was doing is whole or absent. A hang-up of the terminal, or
    the wish to read the configuration again, is passed over: it is being read.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _leave) for number in STOP_SIGNALS}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, _pass_over)
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise StopAsked(f"stopped by {signal.Signals(number).name}")


def _pass_over(_number: int, _frame: FrameType | None) -> None:
    """Nothing. Not SIG_IGN, which the processes of fits would inherit."""
