"""A training host whose machine loses its power in the middle of a plan boots, goes on, and tells of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import reporting
from booted_host import LONG_PARAMS, TrainingHost
from booted_machine import Machine, booted

ROUNDS = 20 if reporting.LONG else 1
STAGES = ("cpu", "gpu") if reporting.LONG else ("cpu",)
FAMILIES = ("LightGBM", "MLP" if reporting.LONG else "XGBoost")


@pytest.fixture
def own_machine(image: Path) -> Iterator[Machine]:
    """A machine of one test alone, with the service enabled: it comes up with the machine."""
    with booted() as machine:
        host = TrainingHost(machine)
        host.install(params=LONG_PARAMS)
        host.systemctl("enable", "--now")
        yield machine


def await_stage(host: TrainingHost, plan: str, stage: str, *, checkpoints: int) -> None:
    """Wait until a fit of a plan's stage is in its training, so many checkpoints far."""
    jobs = [event["data"] for event in host.events("JobPlanned") if event["plan"] == plan]
    fits = {fit["fit"] for job in jobs for fit in job["fits"] if fit["stage"] == stage}
    host.await_events("CheckpointSaved", many=checkpoints, where=lambda event: event["fit"] in fits)


def cut(machine: Machine, number: int) -> None:
    """Take the power away, or let the machine switch itself off without a word to anybody; then boot."""
    if number % 2:
        machine.call("systemctl", "poweroff", "--force", "--force")
        machine.await_off()
    else:
        machine.pull_the_plug()
    machine.boot()


def check_told(host: TrainingHost) -> None:
    """`trainwright status` says how the daemon ended, what was resumed from where, and what it cost."""
    host.await_events("FitStarted", many=2)
    told = host.command("status").stdout
    assert "previous stop: the machine went down without a stop" in told
    assert "resumed" in told
    assert "lost" in told


def check_once(host: TrainingHost, plan: str) -> None:
    """Each fit of the plan succeeded, once, none failed, and the log is sound."""
    done = Counter(event["fit"] for event in host.events("FitSucceeded") if event["plan"] == plan)
    assert list(done.values()) == [1] * len(FAMILIES)
    assert not [event for event in host.events("FitFailed") if event["plan"] == plan]
    verified = host.command("db", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def check_boots(host: TrainingHost, number: int) -> None:
    """Log and journal agree on so many boots."""
    starts = [event["data"] for event in host.events("DaemonStarted")]
    assert len({start["boot_id"] for start in starts}) == len(starts) == number
    boots = host.machine.run("journalctl", "--list-boots", "--no-pager").splitlines()
    assert len([line for line in boots if line.split()[0].lstrip("-").isdigit()]) == number


@pytest.mark.slow
@pytest.mark.timeout(7200 if reporting.LONG else 900)
def test_a_plan_is_finished_over_power_cuts(own_machine: Machine) -> None:
    """Without power in the middle of a plan, each boot goes on by itself: nothing is lost or done twice."""
    host, dice = TrainingHost(own_machine), random.Random(6)  # noqa: S311 - the same moments every time
    lost: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        plan = host.take(f"plan{number}", FAMILIES)
        for stage in STAGES:
            await_stage(host, plan, stage, checkpoints=dice.randint(1, 4))
            cut(own_machine, len(lost))
            lost.append(host.await_events("LeaseExpired", many=len(lost) + 1)[-1]["data"])
            if len(lost) == 1:
                check_told(host)
        host.await_completed(plan)
        check_once(host, plan)
    assert {word["cause"] for word in lost} == {"daemon gone"}
    check_boots(host, 1 + len(lost))
    most = max(word["lost_seconds"] for word in lost)
    reporting.report("booted: power cut in mid-plan", faults=len(lost), lost=0, doubles=0)
    found = f"{ROUNDS} of {ROUNDS} plans finished over {len(lost)} cuts, at most {most:.1f} s of work lost"
    reporting.figure("reboots in mid-plan", found, bar="plan finishes, nothing twice", met=True)
