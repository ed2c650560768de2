"""``status``: plans, daemons, losses and what became of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cli_samples import BROKEN, STOPPED, Call, fill, living_daemon, sample_plan, start

from daemon.views import overview
from daemon.views.overview import LINES_MAX
from store import PlanStore
from store.events import DaemonStarted, DaemonStopped


def test_a_plan_is_one_line_with_its_counts(call: Call, filled: PlanStore) -> None:
    """Done, failed, not available and open fits are counted apart."""
    plan = next(line for line in call("status").lines if line.startswith("plan"))
    assert "2 jobs, 5 fits: 1 done, 1 failed, 1 not available, 2 open" in plan


def test_a_failure_is_told_with_the_command_that_explains_it(call: Call, filled: PlanStore) -> None:
    """The next command stands in the line."""
    assert f"failed   {BROKEN}  the label has one class   trainwright why {BROKEN}" in call("status").out


def test_a_stopped_fit_is_told_until_and_after_it_went_on(
    call: Call, filled: PlanStore, folder: Path
) -> None:
    """First it waits to be resumed, then it says from which step it was."""
    assert f"lost     {STOPPED}  to be resumed; attempt 1 ended: stopped by SIGTERM" in call("status").out
    claim = filled.claim("w2", stage="cpu")[0]
    start(filled, claim, folder, resumed_from_step=40, resumed_from_attempt=1)
    out = call("status").out
    assert f"resumed  {STOPPED}  from step 40 (attempt 2)" in out
    assert f"running  {STOPPED}" in out


def test_a_lost_lease_says_what_was_lost(call: Call, store: PlanStore, folder: Path) -> None:
    """A worker that died is told with its cause; a second loss is a second line."""
    store.accept(sample_plan(), source="test", name="t")
    for _ in range(2):
        start(store, store.claim("dead", stage="cpu")[0], folder)
        store.rescue(is_dead=lambda worker: worker == "dead")
    done = call("status", "--json")
    assert done.document["losses"] == 2
    assert [one["attempt"] for one in done.document["resumed"]] == [1, 2]
    assert done.document["resumed"][1]["state"] == "waiting"


def test_the_daemon_is_up_gone_or_stopped(call: Call, store: PlanStore, folder: Path) -> None:
    """Each state has words of its own, and a dead one names the command."""
    alive = living_daemon()
    store.daemon_started(alive)
    assert "daemon   up " in call("status").out
    store.daemon_said(DaemonStopped(worker=alive.worker, host=alive.host, cause="stopped by SIGTERM"))
    assert ": stopped by SIGTERM" in call("status").out
    host, boot_id, namespace, *_ = alive.worker.split("/")
    worker = "/".join((host, boot_id, namespace, "4194305", "1"))
    store.daemon_started(type(alive)(worker=worker, host=host, version="0", boot_id=boot_id, pid=4194305))
    assert "gone without a word" in call("status").out


def test_after_a_power_cut_status_says_when_it_was_and_what_it_cost(
    call: Call, store: PlanStore, folder: Path
) -> None:
    """The daemon before, its last sign of life, the machine's start, and the work of the fits it had."""
    alive = living_daemon()
    dead = f"{alive.host}/boot-before/1/7/1"
    store.daemon_started(DaemonStarted(worker=dead, host=alive.host, version="0", boot_id="boot-before"))
    store.accept(sample_plan(), source="test", name="t")
    start(store, store.claim(dead, stage="cpu")[0], folder)
    booted_at = datetime(2026, 1, 2, 9, 14, tzinfo=UTC)
    store.daemon_started(replace(alive, booted_at=booted_at, unit="trainwright.service"))
    store.rescue(is_dead=lambda worker: worker == dead)
    first, second = call("status").lines[:2]
    assert "up " in first
    assert f"pid {alive.pid}, trainwright.service (boot 2026-01-02 09:14:00Z)" in first
    assert second.startswith("before   previous stop: the machine went down without a stop, last seen 2")
    assert "; 1 fit was at work, 0." in second
    (host,) = call("status", "--json").document["hosts"]
    assert (host["taken_back"], host["unit"]) == (1, "trainwright.service")
    assert host["previous_stop_at"].endswith("Z")


def test_an_empty_log_names_the_first_command(call: Call, store: PlanStore) -> None:
    """No plan is no error."""
    done = call("status")
    assert done.code == 0
    assert "no plan yet: trainwright run" in done.out


def test_when_nothing_is_left_the_models_are_named(call: Call, filled: PlanStore) -> None:
    """All fits final: the next thing is to look at the models."""
    for fit in filled.reading.fits(states=("ready",)):
        filled.cancel(fit.id)
    assert call("status").lines[-1] == "nothing is left to do; the models: trainwright models ls"


@pytest.mark.parametrize("page", [4, 5, 1000])
def test_more_than_a_screenful_is_counted(
    call: Call, store: PlanStore, folder: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """Ten losses show the newest eight and say where the others are, however they are read."""
    monkeypatch.setattr(overview, "LOSSES_PAGE", page)
    fill(store, folder)
    for _ in range(LINES_MAX + 1):
        start(store, store.claim("dead", stage="cpu")[0], folder)
        store.rescue(is_dead=lambda worker: worker == "dead")
    lines = [line for line in call("status").lines if line.startswith(("resumed", "lost"))]
    assert len(lines) == LINES_MAX + 1
    assert lines[0].startswith("resumed  2 more: trainwright events")
    assert "attempt 10 ended" in lines[-1]


def test_the_document_has_every_part(call: Call, filled: PlanStore) -> None:
    """Programs get plans, fits under way, failures, groups of waiting fits and losses, with times in UTC."""
    document = call("status", "--json").document
    assert document["v"] == 1
    assert document["at"].endswith("Z")
    assert document["plans"][0]["open"] == 2
    assert [fit["name"] for fit in document["failed"]] == [BROKEN]
    assert {group["stage"]: group["fits"] for group in document["waiting"]} == {"cpu": 1, "gpu": 1}


def test_a_fit_whose_process_is_gone_is_not_called_running(
    call: Call, store: PlanStore, folder: Path
) -> None:
    """Until a daemon takes it back, status says from where it will resume, not that it runs."""
    alive = living_daemon()
    host, boot_id, namespace, *_ = alive.worker.split("/")
    store.accept(sample_plan(), source="test", name="t")
    claim = store.claim("/".join((host, boot_id, namespace, "4194305", "1")), stage="cpu")[0]
    start(store, claim, folder)
    out = call("status").out
    assert "its process is gone; resumes from" in out
    assert "running  " not in out
