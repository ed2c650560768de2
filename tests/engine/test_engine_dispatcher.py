"""Claims come first, jobs follow, what Ray says is a hint, and every fit is told of once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from daemon_samples import accept, all_events, job, settings_in
from fake_ray import AGENT, SILENT, AskedAtOnce, EngineStage, begins, gives_back, succeeds

from daemon.dispatcher import Dispatcher
from daemon.engine import dispatcher as engine_dispatcher
from daemon.engine.dispatching import dispatching
from daemon.engine.errors import RayRefused, RayUnsafe
from daemon.errors import SettingsInvalid
from daemon.news import FitEnded, PlanFinished
from store import PlanStore, open_store


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls to Ray are made in the turn that asks for them."""
    monkeypatch.setattr(engine_dispatcher, "Asking", AskedAtOnce)


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """An empty log."""
    with open_store(sqlite_url) as opened:
        yield opened


@pytest.fixture
def stage(tmp_path: Path, store: PlanStore) -> EngineStage:
    """A host over the log."""
    return EngineStage(tmp_path, store)


def test_a_claim_comes_before_its_job(stage: EngineStage) -> None:
    """When Ray hears of a job, the log has the claim whose fence is in its id."""
    stage.accept()
    seen: list[object] = []
    stage.ray.on_submit = lambda one: seen.append(
        [(event.fit, event.version) for event in all_events(stage.store, "FitClaimed")]
    )
    stage.turns(3)
    assert seen == [list(stage.claims())]
    (fit_id, fence), submission = stage.claims()[0], stage.ray.submitted[0]
    assert submission.id.startswith(f"trainwright-{fit_id}-{fence}-")
    assert submission.entrypoint == f"exec trainwright fit --claim {fit_id}:{fence}"


def test_a_fit_is_done_by_its_agent_and_told_here(stage: EngineStage) -> None:
    """The host tells its screen what the log says, once, and lets Ray forget what went well."""
    plan = stage.accept()
    stage.turns(3)
    (claim,) = begins(stage.store, stage.ray, stage.ray.submitted[0])
    stage.turns(8)
    assert [run.claim for run in stage.dispatcher.running] == [None], "it is the agent's now"
    succeeds(stage.store, claim)
    stage.ray.says(stage.ray.submitted[0].id, "SUCCEEDED")
    stage.turns(10)
    assert stage.dispatcher.running == []
    assert [type(news) for news in stage.news] == [FitEnded, PlanFinished]
    assert isinstance(stage.news[0], FitEnded)
    assert stage.news[0].outcome == "succeeded"
    assert stage.store.reading.plan_row(plan).succeeded == 1
    assert stage.ray.known == {}
    assert stage.ray.stopped == []


def test_a_claim_is_kept_while_its_job_waits(tmp_path: Path, store: PlanStore) -> None:
    """However long Ray lets it wait, nobody takes the fit; once an agent has it the host renews no more."""
    stage = EngineStage(tmp_path, store, lease_seconds=3600.0)
    stage.accept()
    stage.turns(3)
    (row,) = store.reading.fits()
    ends = [store.reading.fit(row.id).lease_until for _ in range(4) if stage.turns(10) is None]
    assert ends == sorted(ends), "no renewal moves the end back"
    assert ends[0] < ends[-1], "renewals move the end, as far as the clock tells moments apart"
    begins(store, stage.ray, stage.ray.submitted[0])
    taken = store.reading.fit(row.id)
    stage.turns(40)
    assert store.reading.fit(row.id).lease_until == taken.lease_until, "the agent renews, or nobody"
    assert store.reading.fit(row.id).worker == AGENT


def test_of_many_agents_with_one_claim_one_may_start(stage: EngineStage) -> None:
    """A job that runs twice does its fit once."""
    stage.accept()
    stage.turns(3)
    taken = [
        begins(stage.store, stage.ray, stage.ray.submitted[0], f"{AGENT}{number}") for number in range(20)
    ]
    assert [len(claims) for claims in taken] == [1, *[0] * 19]


def test_what_ray_says_ends_no_fit(stage: EngineStage) -> None:
    """FAILED, STOPPED, SUCCEEDED or nothing: an agent that is at work goes on and has the last word."""
    stage.accept()
    stage.turns(3)
    job_id = stage.ray.submitted[0].id
    (claim,) = begins(stage.store, stage.ray, stage.ray.submitted[0])
    for status in ("FAILED", "STOPPED", "SUCCEEDED"):
        stage.ray.says(job_id, status)
        stage.turns(10)
    stage.ray.forgets()
    stage.turns(10)
    assert [run.fit_id for run in stage.dispatcher.running] == [claim.fit_id]
    assert len(stage.ray.submitted) == 1
    succeeds(stage.store, claim)
    stage.turns(10)
    assert [event.kind for event in all_events(stage.store, "FitSucceeded", "FitFailed", "FitReleased")] == [
        "FitSucceeded"
    ]


def test_a_job_that_ends_before_it_begins_is_tried_again_ever_later(stage: EngineStage) -> None:
    """A node without our program costs a wait, not the fit: nothing counts against it."""
    stage.accept()
    at: list[float] = []
    stage.ray.on_submit = lambda _: at.append(stage.clock.now)
    for _ in range(200):
        stage.turns(1)
        for job_id, known in list(stage.ray.known.items()):
            if not known.ended:
                stage.ray.says(job_id, "FAILED", "exit code 127")
    assert len(at) >= 4
    waits = [after - before for before, after in pairwise(at)]
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]
    (row,) = stage.store.reading.fits()
    assert (row.failures, row.expiries) == (0, 0)
    causes = {event.data["cause"] for event in all_events(stage.store, "FitReleased")}
    assert causes == {"its job ended before it began: exit code 127"}


def test_a_head_that_forgot_is_told_again_under_the_same_id(stage: EngineStage) -> None:
    """What had not begun is submitted anew; the claim is the one it was."""
    stage.accept()
    stage.turns(3)
    stage.ray.forgets()
    stage.turns(8)
    first, second = stage.ray.submitted
    assert first == second
    assert len(all_events(stage.store, "FitClaimed")) == 1


def test_a_submission_of_unknown_fate_is_said_again(stage: EngineStage) -> None:
    """Ray took it and the answer was lost: the same again is refused there, and that is the answer."""
    stage.accept()
    stage.ray.loses_answers = 3
    stage.turns(10)
    (submission,) = stage.ray.submitted
    assert stage.ray.refused == [submission.id] * 3
    assert len(all_events(stage.store, "FitClaimed")) == 1
    assert all_events(stage.store, "FitReleased") == []


def test_a_cancelled_fit_is_an_event_first_and_a_stop_second(stage: EngineStage) -> None:
    """A job that waits is ended in Ray; one whose agent runs gets the time to see it by itself."""
    stage.accept()
    stage.turns(3)
    (row,) = stage.store.reading.fits()
    stage.store.cancel(row.id, reason="for a test")
    assert stage.ray.stopped == []
    stage.turns(10)
    assert set(stage.ray.stopped) == {stage.ray.submitted[0].id}
    assert stage.dispatcher.running == []


def test_an_agent_that_died_costs_a_lease_and_its_job_is_ended(tmp_path: Path, store: PlanStore) -> None:
    """Its fit is taken back as any other's; the job that held it does not keep its place in the cluster."""
    stage = EngineStage(tmp_path, store)
    stage.accept()
    stage.turns(3)
    begins(store, stage.ray, stage.ray.submitted[0])
    stage.turns(8)
    store.rescue(is_dead=lambda worker: worker == AGENT)
    stage.turns(10)
    assert set(stage.ray.stopped) == {stage.ray.submitted[0].id}
    assert len(stage.ray.submitted) == 2, "the next attempt is another job"
    assert stage.ray.submitted[0].id != stage.ray.submitted[1].id


def test_a_job_does_several_short_fits(tmp_path: Path, store: PlanStore) -> None:
    """They share a job where they need the same; no more fits are in the cluster than the settings say."""
    stage = EngineStage(tmp_path, store, ray_slots=5, ray_fits_per_job=3)
    accept(store, *(job(target=f"y_{number}_1d") for number in range(8)))
    stage.turns(3)
    assert [len(stage.claims(at)) for at in range(2)] == [3, 2]
    assert len(stage.dispatcher.running) == 5
    assert stage.ray.submitted[0].entrypoint.count("--claim") == 3


def test_needs_become_resources(tmp_path: Path, store: PlanStore) -> None:
    """Cores, devices and memory, and a trace of each label that a node must have."""
    stage = EngineStage(tmp_path, store, labels=["bigmem"], threads_per_fit=2)
    stage.ray.gpus = 4.0
    needs = {"cores": 3, "memory_bytes": 5_000_000, "labels": ["bigmem"]}
    accept(store, job(fits=[{"family": "LightGBM", "needs": needs}]), job(("MLP",), target="y_up_1d"))
    stage.turns(3)
    (cpu,) = stage.ray.submitted
    assert (cpu.cpus, cpu.gpus, cpu.memory_bytes) == (6, 0, 5_000_000)
    assert cpu.resources == {"bigmem": 0.001}
    (claim,) = begins(store, stage.ray, cpu)
    succeeds(store, claim)
    stage.turns(5)
    assert (stage.ray.submitted[-1].gpus, stage.ray.submitted[-1].cpus) == (1, 2)


@pytest.mark.parametrize(("fallback", "submitted"), [("auto", [0]), ("never", [])])
def test_a_cluster_without_devices_is_asked_for_none(
    tmp_path: Path, store: PlanStore, fallback: str, submitted: list[int]
) -> None:
    """A job would wait there for ever: it trains without one where it may, else nothing is claimed."""
    stage = EngineStage(tmp_path, store, gpu_fallback=fallback)
    stage.ray.gpus = 0.0
    stage.accept("MLP")
    stage.turns(3)
    assert [one.gpus for one in stage.ray.submitted] == submitted


def test_a_silent_cluster_is_given_nothing(stage: EngineStage) -> None:
    """No fit is claimed for it; what is claimed already is given back after a while, for others."""
    stage.ray.trouble = SILENT
    stage.accept()
    stage.turns(5)
    assert stage.dispatcher.trouble is not None
    assert all_events(stage.store, "FitClaimed") == []
    stage.ray.trouble, stage.ray.submit_trouble = None, SILENT
    stage.turns(40)
    assert len(all_events(stage.store, "FitClaimed")) == 1
    stage.ray.trouble = SILENT
    stage.turns(80)
    assert [event.data["cause"] for event in all_events(stage.store, "FitReleased")] == [
        "Ray does not answer"
    ]
    assert stage.dispatcher.running == []


def test_a_job_that_ray_refuses_is_not_submitted_without_end(stage: EngineStage) -> None:
    """The claim is given back with the reason, and the next try comes later."""
    stage.ray.submit_trouble = RayRefused("Ray answered 400: no such option", where="there")
    stage.accept()
    stage.turns(30)
    released = all_events(stage.store, "FitReleased")
    assert 1 <= len(released) <= 4
    assert "no such option" in released[0].data["cause"]


def test_an_unsafe_cluster_is_given_nothing_and_a_person_who_waits_is_told(stage: EngineStage) -> None:
    """The daemon goes on and says why nothing begins; `run` and `train` end with the refusal."""
    stage.ray.trouble = RayUnsafe("this Ray answers without a token", where="there")
    plan = stage.accept()
    stage.turns(5)
    assert "without a token" in (stage.dispatcher.trouble or "")
    assert all_events(stage.store, "FitClaimed") == []
    stage.dispatcher = stage.made(plans=[plan])
    with pytest.raises(RayUnsafe):
        stage.turns(5)


def test_jobs_of_a_daemon_before_are_judged_by_their_claims(stage: EngineStage) -> None:
    """What goes on counts among the places; what is not current is stopped; others' are left alone."""
    accept(stage.store, *(job(target=f"y_{number}_1d") for number in range(6)))
    stage.turns(3)
    begun, fenced, foreign = stage.ray.submitted[:3]
    (claim,) = begins(stage.store, stage.ray, begun)
    stage.store.rescue(is_dead=lambda worker: worker == stage.worker)  # as the next daemon does first
    others = {**foreign.metadata, "trainwright-worker": "of/another/log/1/2/x"}
    stage.ray.known[foreign.id] = replace(stage.ray.known[foreign.id], metadata=others)
    stage.ray.known["theirs"] = replace(stage.ray.known[foreign.id], id="theirs", metadata={})
    stage.dispatcher = stage.made(f"{stage.worker}x")
    stage.turns(4)
    assert fenced.id in stage.ray.stopped
    assert not {begun.id, foreign.id, "theirs"} & set(stage.ray.stopped)
    assert claim.fit_id in [run.fit_id for run in stage.dispatcher.running]
    assert len(stage.dispatcher.running) == stage.settings.ray_slots
    succeeds(stage.store, claim)
    stage.turns(4)
    assert claim.fit_id not in [run.fit_id for run in stage.dispatcher.running]


def test_nothing_is_claimed_before_the_jobs_there_were_looked_at(stage: EngineStage) -> None:
    """A daemon that starts would send too many fits into a cluster that is full of its own."""
    stage.accept()
    stage.turns(1)
    assert all_events(stage.store, "FitClaimed") == []
    stage.turns(2)
    assert len(all_events(stage.store, "FitClaimed")) == 1


def test_told_to_stop_it_gives_back_what_waits_and_leaves_what_runs(stage: EngineStage) -> None:
    """Agents need no daemon; jobs that have not begun are ended, and their fits are ready for others."""
    accept(stage.store, job(target="y_1_1d"), job(target="y_2_1d"))
    stage.turns(3)
    running, waiting = stage.ray.submitted
    (claim,) = begins(stage.store, stage.ray, running)
    stage.dispatcher.ask_to_stop("stopped by SIGTERM")
    assert stage.dispatcher.running == []
    assert stage.dispatcher.end_all() == 0
    assert stage.ray.stopped == [waiting.id]
    states = {row.id: row.state for row in stage.store.reading.fits()}
    assert states.pop(claim.fit_id) == "claimed"
    assert list(states.values()) == ["ready"]
    succeeds(stage.store, claim)


def test_a_host_that_drains_has_its_jobs_stopped(stage: EngineStage) -> None:
    """What runs saves its state when Ray asks it to stop, and is given back by its agent."""
    accept(stage.store, job(target="y_1_1d"), job(target="y_2_1d"))
    stage.turns(3)
    (claim,) = begins(stage.store, stage.ray, stage.ray.submitted[0])
    assert stage.dispatcher.give_back("the host drains") == 2
    stage.dispatcher.listen()
    assert sorted(stage.ray.stopped) == sorted(one.id for one in stage.ray.submitted)
    gives_back(stage.store, claim)
    stage.dispatcher.check_leases()
    stage.dispatcher.listen()
    assert stage.dispatcher.running == []
    assert {row.state for row in stage.store.reading.fits()} == {"ready"}


def test_the_token_is_nowhere_but_in_the_header(tmp_path: Path, store: PlanStore) -> None:
    """Neither in what Ray is told to run, nor in the log."""
    secret = tmp_path / "ray-token"
    secret.write_text("the-secret-token", encoding="ascii")
    stage = EngineStage(tmp_path, store, ray_token_file=secret, ray_config="/etc/trainwright.toml")
    stage.accept()
    stage.turns(3)
    told = str(stage.ray.submitted[0].document())
    assert "/etc/trainwright.toml" in told
    assert "the-secret-token" not in told
    assert str(secret) not in told
    assert all("the-secret-token" not in str(event.data) for event in all_events(store))


def test_settings_say_where_fits_run(tmp_path: Path) -> None:
    """Its own processes by default; a cluster needs its address, its token, and a log that it can reach."""
    assert dispatching(settings_in(tmp_path)) is Dispatcher
    with pytest.raises(SettingsInvalid) as wrong:
        dispatching(settings_in(tmp_path, engine="ray"))
    assert [fault.place for fault in wrong.value.faults] == [
        "[daemon] ray_address",
        "[daemon] ray_token_file",
    ]
    far = settings_in(tmp_path, engine="ray", ray_address="http://10.1.2.3:8265", ray_token_file="t")
    with pytest.raises(SettingsInvalid, match="is a file of this machine"):
        dispatching(far)
    near = settings_in(tmp_path, engine="ray", ray_address="http://127.0.0.1:8265", ray_token_file="t")
    assert dispatching(near) is not Dispatcher
