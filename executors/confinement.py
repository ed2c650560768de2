"""What the process of a fit does to itself first: its CPUs, its memory, its end with its parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
from collections.abc import Sequence
from pathlib import Path

from executors.contract import FitSpec

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PR_SET_CHILD_SUBREAPER = 36
_OOM_SCORE = "500"  # when memory runs out a fit goes, not the daemon that would start it again
_OWN = Path("/proc/self")


def confine(spec: FitSpec) -> None:
    """Keep this process to the CPUs and the memory of `spec`; children it starts inherit both.

    The limit of memory counts private writable memory on top of what the process has now, not the mapped
    panel. It is not set for a GPU, whose driver reserves addresses far beyond any memory there is. CPUs that
    were taken away meanwhile cost the fit its own place, not itself.
    """
    if spec.cpus:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, spec.cpus)
    if spec.memory_bytes_max is not None and spec.device_requested == "cpu":
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_writable_bytes() + spec.memory_bytes_max, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with contextlib.suppress(OSError):
        (_OWN / "oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that forked it ends; at once if it has ended."""
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent_pid:
        os._exit(1)  # it died before the line above


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none of them is lost sight of."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def post_guard(lifelines: Sequence[int]) -> None:
    """Fork the guard of this process group: it kills the whole group once any of `lifelines` ends.

    A lifeline is the reading end of a pipe nobody writes to; it ends when the last process that holds the
    writing end dies or lets go. The guard is a process of its own and needs no lock of the interpreter, so a
    library that never gives it back, or a fit that was stopped, cannot keep the group alive. It ends with its
    group. To be called by the leader of the group while it has one thread.
    """
    if os.fork() == 0:
        try:
            _stand_guard(lifelines)
        finally:
            os._exit(1)


def _stand_guard(lifelines: Sequence[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    below = 0
    for descriptor in sorted(lifelines):
        os.closerange(below, descriptor)
        below = descriptor + 1
    os.closerange(below, os.sysconf("SC_OPEN_MAX"))
    poll = select.poll()
    for descriptor in lifelines:
        poll.register(descriptor, 0)  # its end is always told
    poll.poll()
    os.killpg(0, signal.SIGKILL)


def _writable_bytes() -> int:
    """Return how much private writable memory this process has, as RLIMIT_DATA counts it."""
    with (_OWN / "status").open(encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
