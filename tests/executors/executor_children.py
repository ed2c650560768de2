"""Children of tests: wait for what they report, never for a time."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path
from typing import Protocol

import psutil

from executors.contract import FitSpec, Outcome, Report
from executors.process import Child, start

PATIENCE_SECONDS = 120.0


class Starter(Protocol):
    """A way to start the child of a spec, with its spec and (by default) its log in a directory."""

    def __call__(self, spec: FitSpec, directory: Path, *, log_path: Path | None = None) -> Child:
        """Start it."""


def started(spec: FitSpec, directory: Path, *, log_path: Path | None = None) -> Child:
    """Start the child of `spec`, a process of its own, with its log and spec in `directory`."""
    spec_path = directory / f"spec-{spec.fence}.json"
    return start(spec, log_path=log_path or directory / "fit.log", spec_path=spec_path)


def group_of(leader: int) -> list[int]:
    """Return the processes of the group that `leader` leads, itself included."""
    return [pid for pid in psutil.pids() if _group(pid) == leader]


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def await_report(child: Child, kind: type[Report]) -> Report:
    """Return the next report of `kind`; fail when the child ends without one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    poll = select.poll()
    poll.register(child.fileno(), select.POLLIN)
    while time.monotonic() < deadline:
        poll.poll(1000)
        for report in child.reports():
            if isinstance(report, kind):
                return report
        assert child.returncode is None, f"the child ended: {child.outcome()}"
    raise AssertionError(f"no {kind.__name__} in {PATIENCE_SECONDS} s")


def await_outcome(child: Child) -> Outcome:
    """Return the outcome of a child that is expected to end."""
    assert child.wait(PATIENCE_SECONDS)
    outcome = child.outcome()
    assert outcome is not None
    return outcome


def await_end(pid: int) -> bool:
    """Wait until the process `pid`, not our child, is no more."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(PATIENCE_SECONDS * 1000))
    finally:
        os.close(descriptor)


def contents(directory: Path) -> dict[str, bytes]:
    """Return name -> content of every file of a bundle."""
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}
