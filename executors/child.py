"""The child process of one fit: `python -m executors.child SPEC.json`, started by `executors.process.start`.

It dies with its parent, takes SIGTERM as "save and stop", reports through the pipe it was given, and ends
with exit code 0 after Succeeded or Stopped, 1 after Failed.
"""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.abc
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from executors.contract import Failed, FitSpec, Outcome, Report, encode
from executors.families import resolve
from executors.process import DEATH_SIGNAL, LIFELINE_FD, PARENT_PID, REPORT_FD
from executors.training import failure, fit_once

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main(arguments: list[str]) -> int:
    """Do the fit of the specification in the file `arguments[0]`; return the exit code."""
    _die_with_parent()
    stop = _StopFlag()
    signal.signal(signal.SIGTERM, stop.set)
    report_fd = int(os.environ[REPORT_FD])
    outcome = _outcome(Path(arguments[0]), report_fd, stop)
    _tell(report_fd, outcome)
    return 1 if isinstance(outcome, Failed) else 0


def _outcome(spec_path: Path, report_fd: int, stop: _StopFlag) -> Outcome:
    """Return how the fit ended; whatever is raised becomes Failed, its traceback goes to the log."""
    try:
        spec = FitSpec.from_json(spec_path.read_bytes())
        if resolve(spec.family).library in {"lightgbm", "xgboost"}:
            sys.meta_path.insert(0, _WithoutSlowInterfaces())
        return fit_once(spec, tell=lambda report: _tell(report_fd, report), should_stop=stop.is_set)
    except Exception as error:  # noqa: BLE001 -- the end of the child: nothing is above it but the exit code
        with suppress(OSError):
            traceback.print_exc()
        return failure(error)


class _StopFlag:
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


def _die_with_parent() -> None:
    """Arrange that the process group is killed when the parent is gone, by kernel and by lifeline."""
    threading.Thread(target=_watch_lifeline, args=(int(os.environ[LIFELINE_FD]),), daemon=True).start()
    if os.environ.get(DEATH_SIGNAL) == "1":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != int(os.environ[PARENT_PID]):
        os._exit(1)  # it died before the line above


def _watch_lifeline(descriptor: int) -> None:
    """Wait for the end of a pipe nobody writes to: it comes when the parent dies or lets go."""
    os.read(descriptor, 1)
    os.killpg(0, signal.SIGKILL)


class _WithoutSlowInterfaces(importlib.abc.MetaPathFinder):
    """Makes `import lightgbm` and `import xgboost` take 0.3 s instead of 1.8 s.

    Both import scikit-learn and pandas if they can, for interfaces a fit never touches, and do without if
    they cannot; pyarrow does the same with pandas.
    """

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Say that scikit-learn and pandas are not there, and nothing about all others."""
        del path, target
        if fullname in {"sklearn", "pandas"}:
            raise ModuleNotFoundError(f"{fullname} is left out of a fit's process", name=fullname)


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)  # not through the libraries' teardown, which can hang or crash after all is done
