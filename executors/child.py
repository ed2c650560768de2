"""The process of one fit: forked by a warm server, or `python -m executors.child SPEC.json` of its own.

It dies with its parent, takes SIGTERM as "save and stop", reports through the pipe it was given, and ends
with exit code 0 after Succeeded or Stopped, 1 after Failed.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from executors.confinement import confine, die_with_parent, post_guard
from executors.contract import Failed, FitSpec, Outcome, Report, encode
from executors.kinds import kind_of, leave_out_slow_interfaces
from executors.process import DEATH_SIGNAL, LIFELINE_FD, PARENT_PID, REPORT_FD
from executors.training import failure, fit_once

_MEMORY_FIX = "raise fit_memory_bytes, or give the fit fewer features or smaller settings"


def main(arguments: list[str]) -> NoReturn:
    """Do the fit of the specification in the file `arguments[0]` and end the process."""

    def settle() -> None:
        post_guard([int(os.environ[LIFELINE_FD])])
        if os.environ.get(DEATH_SIGNAL) == "1":
            die_with_parent(int(os.environ[PARENT_PID]))

    do(Path(arguments[0]), int(os.environ[REPORT_FD]), settle=settle)


def do(spec_path: Path, report_fd: int, *, settle: Callable[[], None]) -> NoReturn:
    """Do the fit of the specification in a file, tell how it went, and end the process.

    Args:
        spec_path: the specification.
        report_fd: where reports go.
        settle: makes the process what the fit needs around it; what it raises is told as well.
    """
    code = 1
    try:
        stop = StopFlag()
        outcome = _outcome(spec_path, report_fd, stop, settle)
        _tell(report_fd, outcome)
        code = 1 if isinstance(outcome, Failed) else 0
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)  # not through the libraries' teardown, which can hang or crash after all is done


def _outcome(spec_path: Path, report_fd: int, stop: StopFlag, settle: Callable[[], None]) -> Outcome:
    """Return how the fit ended; whatever is raised becomes Failed, its traceback goes to the log."""
    spec: FitSpec | None = None
    try:
        signal.signal(signal.SIGTERM, stop.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        settle()
        spec = FitSpec.from_json(spec_path.read_bytes())
        leave_out_slow_interfaces(kind_of(spec))
        confine(spec)
        return fit_once(spec, tell=lambda report: _tell(report_fd, report), should_stop=stop.is_set)
    except Exception as error:  # noqa: BLE001 -- the end of the child: nothing is above it but the exit code
        with suppress(OSError):
            traceback.print_exc()
        return _named(failure(error), spec)


def _named(failed: Failed, spec: FitSpec | None) -> Failed:
    """Return a failure for want of memory with the limit it was due to; it would fail again."""
    if failed.cause != "out_of_memory" or spec is None or spec.memory_bytes_max is None:
        return failed
    limit = f"limit {spec.memory_bytes_max / 2**20:,.0f} MiB (fit_memory_bytes)"
    return dataclasses.replace(failed, sentence=f"{failed.sentence}; {limit}; {_MEMORY_FIX}", retryable=False)


class StopFlag:
    """Whether SIGTERM has come."""

    def __init__(self) -> None:
        self._came = False

    def set(self, number: int, frame: FrameType | None) -> None:
        """Remember it; the training loop looks after every step."""
        del number, frame
        self._came = True

    def is_set(self) -> bool:
        """Return whether it has come."""
        return self._came


def _tell(report_fd: int, report: Report) -> None:
    """Send `report` up the pipe, and write it to the log with the time, in words, where there is room."""
    values = ((field.name, getattr(report, field.name)) for field in dataclasses.fields(report))
    words = " ".join(f"{name}={value}" for name, value in values if value is not None)
    with suppress(OSError):
        sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {type(report).__name__} {words}\n")
        sys.stderr.flush()
    view = memoryview(encode(report))
    while view:
        view = view[os.write(report_fd, view) :]


if __name__ == "__main__":
    main(sys.argv[1:])
