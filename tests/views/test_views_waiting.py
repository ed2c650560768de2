"""Why fits wait: few are asked one by one, of many is told what holds for their kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cli_samples import GPU, STOPPED, fill, living_daemon, many_fits, sample_plan
from store_samples import cs_job, plan_of

from daemon.views import waiting
from daemon.views.explaining import why
from daemon.views.waiting import Watch
from store import PlanStore, open_store
from store.events import CheckpointSaved, FitStarted
from store.records import Failure


def test_without_anybody_at_work_every_fit_waits_for_a_daemon(filled: PlanStore) -> None:
    """The reason names the command that helps."""
    watch = Watch(filled.reading)
    reasons = watch.reasons(filled.reading.fits(states=("ready", "running", "failed", "succeeded")))
    assert {filled.reading.fit(fit_id).name for fit_id in reasons} == {GPU, STOPPED}
    assert all(reason.code == "NoWorker" for reason in reasons.values())
    assert "trainwright daemon" in next(iter(reasons.values())).words


def test_a_daemon_that_died_is_not_at_work(store: PlanStore) -> None:
    """A host that never said goodbye does not count when its process is gone."""
    start = living_daemon()
    host, boot_id, namespace, *_ = start.worker.split("/")
    gone = "/".join((host, boot_id, namespace, "4194305", "1"))
    store.daemon_started(type(start)(worker=gone, host=host, version="0", boot_id=boot_id, pid=4194305))
    assert Watch(store.reading).workers == frozenset()
    store.daemon_started(start)
    assert Watch(store.reading).workers == {start.worker}


def test_a_host_that_drains_or_was_removed_is_told(store: PlanStore) -> None:
    """All that waits does so for the host to come back; of a removed one nothing is left, nor of its room."""
    start = replace(living_daemon(), cpu_slots=2, gpu_slots=0, labels=("bigmem",))
    store.daemon_started(start)
    store.accept(plan_of(cs_job("y", families=("LightGBM",))), source="test", name="t")
    assert [(group.code, group.words) for group in Watch(store.reading).groups(store.reading.plans())] == [
        ("Priority", "the most urgent come first")
    ]
    store.drain_host(start.host, reason="a new disk")
    watch = Watch(store.reading)
    words = f"host {start.host} drains and claims nothing more: a new disk"
    assert [(one.code, one.words) for one in watch.groups(store.reading.plans())] == [("Draining", words)]
    assert (watch.workers, watch.cpu_slots) == ({start.worker}, 0)
    store.return_host(start.host)
    assert Watch(store.reading).cpu_slots == 2
    store.remove_host(start.host, force=True)
    assert Watch(store.reading).workers == frozenset()


@pytest.mark.parametrize("jobs", [2, 70])
def test_fits_that_need_a_label_are_a_group_of_their_own(store: PlanStore, jobs: int) -> None:
    """However many wait: those that no host may start say what is missing, and speak for no others."""
    store.daemon_started(replace(living_daemon(), cpu_slots=2, gpu_slots=0))
    needy = [{"family": "LightGBM", "needs": {"labels": ["bigmem"]}}]
    store.accept(
        plan_of(
            *(cs_job(f"y_{n}", families=("LightGBM",), priority=9) | {"fits": needy} for n in range(jobs)),
            *(cs_job(f"z_{n}", families=("LightGBM",)) for n in range(jobs)),
        ),
        source="test",
        name="t",
    )
    groups = {one.code: one for one in Watch(store.reading).groups(store.reading.plans())}
    assert {code: one.fits for code, one in groups.items()} == {"Labels": jobs, "Priority": jobs}
    assert groups["Labels"].words == "it needs a host with label bigmem; the host at work lacks it"


def test_a_gpu_fit_waits_for_the_cpu_stage_of_its_plan(filled: PlanStore) -> None:
    """While a CPU fit of the plan is open the barrier is the reason, and it is counted."""
    filled.daemon_started(living_daemon())
    reason = Watch(filled.reading).reason(filled.reading.fit(GPU))
    assert reason is not None
    assert (reason.code, reason.words[:2]) == ("WaitingForCpuStage", "1 ")


def test_with_a_barrier_by_job_only_its_own_cpu_fits_count(store: PlanStore) -> None:
    """Another job's open CPU fit does not hold up a GPU fit."""
    plan = plan_of(cs_job("a"), cs_job("b", families=("LSTM",)), barrier="job")
    store.accept(plan, source="test", name="t")
    store.daemon_started(living_daemon())
    watch = Watch(store.reading)
    codes = {fit.name: getattr(watch.reason(fit), "code", None) for fit in store.reading.fits()}
    assert codes == {"cs_a/LightGBM": "Next", "cs_a/LSTM": "WaitingForCpuStage", "cs_b/LSTM": "Next"}


def test_places_in_the_queue_are_counted_for_few(store: PlanStore) -> None:
    """The more urgent fit is next, the other one knows how many come before it."""
    plan = plan_of(
        cs_job("later", families=("LightGBM",), priority=1), cs_job("now", families=("LightGBM",), priority=3)
    )
    store.accept(plan, source="test", name="t")
    store.daemon_started(living_daemon())
    reasons = Watch(store.reading).reasons(store.reading.fits())
    words = {store.reading.fit(fit_id).target: reason.words for fit_id, reason in reasons.items()}
    assert words["now"].startswith("it is next")
    assert words["later"] == "1 CPU fit comes first"


def test_a_fit_that_failed_waits_for_its_next_try(store: PlanStore) -> None:
    """The reason says when."""
    store.accept(sample_plan(), source="test", name="t")
    store.daemon_started(living_daemon())
    claim = store.claim("w", stage="cpu")[0]
    store.failed(claim, Failure(cause="out_of_memory", sentence="too big", retryable=True))
    reason = Watch(store.reading).reason(store.reading.fit(claim.fit_id))
    assert reason is not None
    assert reason.code == "Backoff"


@pytest.mark.parametrize("asked_max", [0, 60])
def test_groups_count_the_same_whether_read_or_counted(
    store: PlanStore, monkeypatch: pytest.MonkeyPatch, asked_max: int, folder: Path
) -> None:
    """Both ways lead to the same numbers: one CPU fit in the queue, one GPU fit behind the barrier."""
    monkeypatch.setattr(waiting, "ASKED_ONE_BY_ONE", asked_max)
    fill(store, folder)
    store.daemon_started(living_daemon())
    watch = Watch(store.reading)
    found = [(group.stage, group.code, group.fits) for group in watch.groups(store.reading.plans())]
    assert found == [("cpu", "Priority", 1), ("gpu", "WaitingForCpuStage", 1)]


def test_many_waiting_fits_are_told_by_kind(log_here: str) -> None:
    """A long queue without a daemon is one line for each stage, with all its fits counted."""
    many_fits(log_here, 100)
    with open_store(log_here) as store:
        watch = Watch(store.reading)
        groups = watch.groups(store.reading.plans())
        assert [(group.stage, group.code, group.fits) for group in groups] == [
            ("cpu", "NoWorker", 100),
            ("gpu", "NoWorker", 100),
        ]
        assert len(watch.reasons(store.reading.fits())) == 200


def test_many_that_wait_for_room_say_what_the_first_of_them_lacks(
    store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is told with the true reason of its head; with a place free it is the order of urgency."""
    monkeypatch.setattr(waiting, "ASKED_ONE_BY_ONE", 1)
    store.accept(plan_of(*(cs_job(name, families=("LightGBM",)) for name in "abcd")), source="t", name="t")
    start = replace(living_daemon(), cpu_slots=1, gpu_slots=0)
    store.daemon_started(start)
    (group,) = Watch(store.reading).groups(store.reading.plans())
    assert (group.fits, group.code) == (4, "Priority")
    store.claim(start.worker, stage="cpu", limit=1)
    (group,) = Watch(store.reading).groups(store.reading.plans())
    assert (group.fits, group.code) == (3, "Resources(cpu)")
    assert group.words == "it needs 1 CPU place and 0 are free"


def test_a_host_made_smaller_lacks_nothing_that_is_not_asked_for(store: PlanStore) -> None:
    """With more devices taken than there are, a fit without a device is not said to want one."""
    store.accept(plan_of(*(cs_job(name, families=("LightGBM",)) for name in "ab")), source="t", name="t")
    start = replace(living_daemon(), cpu_slots=2, gpu_slots=1)
    store.daemon_started(start)
    store.claim(start.worker, stage="cpu", limit=1)
    store.daemon_started(replace(start, cpu_slots=0))
    reason = Watch(store.reading).reason(store.reading.fits(states=("ready",))[0])
    assert reason is not None
    assert reason.words == "it needs 1 CPU place and 0 are all there is"


def test_a_fit_whose_daemon_is_gone_is_not_called_running_alone(store: PlanStore) -> None:
    """Wherever a fit is told of, so is that its process is gone and from where it will go on."""
    start = living_daemon()
    host, boot_id, namespace, *_ = start.worker.split("/")
    gone = replace(start, worker="/".join((host, boot_id, namespace, "4194305", "1")), pid=4194305)
    store.accept(plan_of(cs_job("a", families=("LightGBM",))), source="test", name="t")
    store.daemon_started(gone)
    (claim,) = store.claim(gone.worker, stage="cpu")
    store.started(claim, FitStarted(pid=42, device_requested="cpu", device_used="cpu", log="a.log"))
    store.checkpointed(claim, CheckpointSaved(step=40, path="work/step-40", seconds=0.1))

    (reason,) = Watch(store.reading).reasons(store.reading.fits()).values()

    assert (reason.code, reason.words) == (
        "NoWorker",
        "its process is gone; resumes from step 40 when a daemon starts",
    )
    assert why(store.reading, claim.fit_id).reasons[claim.fit_id] == reason
    assert Watch(store.reading, is_dead=waiting.alive_then).reasons(store.reading.fits()) == {}
