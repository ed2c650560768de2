"""Being told to stop before there is a loop that hears it. Light: loaded before everything else."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def leaving_at_once(leave: Callable[[str], object] = lambda _cause: os._exit(0)) -> Iterator[None]:
    """While inside, a stop signal calls `leave` with its cause, which ends the process (main thread only).

    It ends without looking back: an exception would be lost where it meets a callback of the interpreter, and
    nothing is there to be lost, for whatever the store was doing is whole or absent. A hang-up of the
    terminal, or the wish to read the configuration again, is passed over: it is being read.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def asked(number: int, _frame: FrameType | None) -> None:
        leave(f"stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, asked) for number in STOP_SIGNALS}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, _pass_over)
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _pass_over(_number: int, _frame: FrameType | None) -> None:
    """Nothing. Not SIG_IGN, which the processes of fits would inherit."""
