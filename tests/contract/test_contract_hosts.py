"""Daemons say hello and goodbye; the next one is told how the last one ended."""

from __future__ import annotations

import pytest
from store_samples import Clock

from store import PlanStore
from store.events import DaemonStarted, DaemonStopped


def hello(worker: str, boot_id: str = "boot-1") -> DaemonStarted:
    return DaemonStarted(worker=worker, host="h", version="0.1.0", boot_id=boot_id, pid=1)


def test_the_first_daemon_of_a_host_has_no_predecessor(plan_store: PlanStore) -> None:
    """There is nothing to report, and nothing went wrong."""
    previous = plan_store.daemon_started(hello("w1"))
    assert (previous.clean, previous.worker) == (True, None)


def test_a_stop_on_purpose_is_told(plan_store: PlanStore, clock: Clock) -> None:
    """The next daemon learns cause and moment of the stop."""
    plan_store.daemon_started(hello("w1"))
    clock.move(60)
    plan_store.daemon_said(DaemonStopped(worker="w1", host="h", cause="SIGTERM"))
    previous = plan_store.daemon_started(hello("w2"))
    assert (previous.cause, previous.clean, previous.worker, previous.at) == (
        "stopped: SIGTERM",
        True,
        "w1",
        clock.now,
    )
    assert plan_store.events()[-1].data["previous_stop"] == "stopped: SIGTERM"


@pytest.mark.parametrize(
    ("boot_id", "dead", "cause"),
    [
        ("boot-1", True, "killed or crashed"),
        ("boot-2", True, "machine went down"),
        ("boot-1", False, "still works beside"),
    ],
)
def test_a_missing_goodbye_is_told_apart(
    plan_store: PlanStore, boot_id: str, cause: str, *, dead: bool
) -> None:
    """A crash, a power cut and a daemon that is still there are three different answers."""
    plan_store.daemon_started(hello("w1"))
    previous = plan_store.daemon_started(hello("w2", boot_id), is_dead=lambda _: dead)
    assert cause in previous.cause
    assert not previous.clean


def test_a_late_goodbye_of_an_older_daemon_does_not_stop_the_newer(plan_store: PlanStore) -> None:
    """Only the last daemon's own stop makes the host stopped."""
    plan_store.daemon_started(hello("w1"))
    plan_store.daemon_started(hello("w2"))
    plan_store.daemon_said(DaemonStopped(worker="w1", host="h", cause="late"))
    assert [(row.worker, row.state) for row in plan_store.reading.hosts()] == [("w2", "working")]
    plan_store.daemon_said(DaemonStopped(worker="w2", host="h", cause="SIGTERM"))
    row = plan_store.reading.hosts()[0]
    assert (row.state, row.cause) == ("stopped", "SIGTERM")
    assert plan_store.verify().ok
