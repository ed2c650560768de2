"""Simulated hosts in the real dispatcher and store: every fit ends once, whoever dies or freezes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# In a process of its own: a simulation stands in for the machine and its clock.
_RUN = """
import json, sys
from benchmarks.scale.audit import problems
from benchmarks.scale.options import Scenario
from benchmarks.scale.world import World
from store import leases
if sys.argv[1] == "without a fence":
    leases.require_held = lambda turn, held: turn.fit(held.fit_id)
scenario = Scenario(hosts=12, slots=8, plans=2, plan_fits=400, fit_seconds=120.0, deaths=8, freezes=8)
world = World(scenario)
outcome = world.run()
found = problems(world.log, outcome)
print(json.dumps({"found": found, "lost": outcome.told["lost"], "rescued": outcome.rescued}))
"""


def simulated(mutant: str = "") -> dict[str, Any]:
    """What came of a small fleet in which hosts die, and freeze for longer than their leases."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, mutant], cwd=ROOT, capture_output=True, check=True, timeout=600
    )
    return dict(json.loads(done.stdout))


def test_every_fit_of_a_disturbed_fleet_ends_once() -> None:
    """Leases run out and late words are refused; at the end all fits have ended, each of them once."""
    told = simulated()
    assert told["found"] == []
    assert told["rescued"] > 0
    assert told["lost"] > 0


def test_a_fleet_without_a_fence_is_found_out() -> None:
    """The mutant takes the words of hosts that thawed: the look at the log's end names what is wrong."""
    assert simulated("without a fence")["found"]
