"""Limits that the kernel holds for the service: memory and processes; a fit that meets them ends alone.

In the layout of control groups where this kernel counts memory.
"""

from __future__ import annotations

import pytest
from booted_host import SHORT, TrainingHost

GREEDY = {**SHORT, "MLP": {"hidden": 8192, "epochs": 3}}  # weights, gradients and Adam: more than 1 GB


@pytest.mark.slow
def test_a_fit_that_takes_too_much_memory_ends_alone(host: TrainingHost) -> None:
    """Beyond MemoryMax the kernel ends the fit, not the daemon; the log says why, and others are trained."""
    host.configure(params=GREEDY, attempts_max=1, expiries_max=1, memory_wait_seconds=1.0)
    host.change_unit("memory", "MemoryMax=700M", "MemorySwapMax=0")
    host.start()
    before = host.pid
    plan = host.take("greedy", ("LightGBM", "MLP"))
    host.await_completed(plan)
    (failed,) = host.events("FitFailed")
    assert "memory" in failed["data"]["cause"]
    assert "memory" in failed["data"]["sentence"]
    assert len(host.events("FitSucceeded")) == 1
    assert (host.pid, host.shown("NRestarts")) == (before, "0")
    host.await_completed(host.take("modest", ("LightGBM",)))


def test_the_number_of_processes_is_limited(host: TrainingHost) -> None:
    """The limit of the unit is the one that the kernel holds for its control group."""
    host.start()
    held = host.machine.run("cat", f"/sys/fs/cgroup/pids{host.shown('ControlGroup')}/pids.max").strip()
    assert held == host.shown("TasksMax")
