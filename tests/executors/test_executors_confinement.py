"""What a fit's process does to itself: limits that hold, and none where they would do harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from executors.contract import FitSpec

SpecMaker = Callable[..., FitSpec]
ASK = (
    "import json, os, resource, sys\n"
    "from executors.confinement import confine\n"
    "from executors.contract import FitSpec\n"
    "confine(FitSpec.from_json(sys.stdin.read()))\n"
    "score = open('/proc/self/oom_score_adj').read()\n"
    "data = resource.getrlimit(resource.RLIMIT_DATA)[0]\n"
    "core = resource.getrlimit(resource.RLIMIT_CORE)[0]\n"
    "print(json.dumps([sorted(os.sched_getaffinity(0)), data, core, int(score)]))\n"
)


def confined(spec: FitSpec) -> tuple[list[int], int, int, int]:
    """CPUs, limits of data and core, and the kernel's inclination, of a process confined to a spec."""
    done = subprocess.run(
        [sys.executable, "-c", ASK], input=spec.to_json(), capture_output=True, text=True, check=True
    )
    cpus, data, core, score = json.loads(done.stdout)
    return cpus, data, core, score


def test_a_fit_keeps_to_its_cpus_and_its_memory(make_spec: SpecMaker) -> None:
    """The limit stands above what the process has already; it leaves no core and goes before the daemon."""
    last = max(os.sched_getaffinity(0))
    cpus, data, core, score = confined(make_spec(cpus=(last,), memory_bytes_max=1 << 30))
    assert cpus == [last]
    assert 1 << 30 < data < (1 << 30) + (1 << 30)
    assert core == 0
    assert score == max(500, int(Path("/proc/self/oom_score_adj").read_text()))


@pytest.mark.parametrize(
    "changes", [{"memory_bytes_max": None}, {"memory_bytes_max": 1 << 30, "device_requested": "cuda:0"}]
)
def test_a_gpu_fit_has_no_limit_of_addresses(make_spec: SpecMaker, changes: dict[str, object]) -> None:
    """A driver reserves more than there is; nor is there a limit where nobody asked for one."""
    assert confined(make_spec(**changes))[1] == -1


def test_cpus_that_are_gone_cost_the_fit_nothing(make_spec: SpecMaker) -> None:
    """A machine may lose CPUs while a host runs; the fit goes on where it may."""
    assert confined(replace(make_spec(), cpus=(4095,)))[0] == sorted(os.sched_getaffinity(0))
