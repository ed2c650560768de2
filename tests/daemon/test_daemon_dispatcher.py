"""The dispatcher fills free slots with ready fits, in the order the store gives, and never more."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import (
    accept,
    all_events,
    document,
    job,
    settings_in,
    succeeded,
)
from dispatcher_stage import Stage

from daemon.admission import family_entry
from daemon.dispatcher import panel_of
from daemon.identity import own_identity
from daemon.news import FitRescued, PlanFinished
from daemon.rescuer import Rescuer
from daemon.runner import FitProcess
from daemon.workplace import FitPlaces
from executors.contract import Failed, FitSpec, Stopped
from store import Claim, DatabaseUnavailable, PlanStore, complete_plan


@pytest.fixture
def stage(tmp_path: Path, sqlite_url: str) -> Iterator[Stage]:
    """A stage on a fresh store."""
    made = Stage(tmp_path, sqlite_url)
    yield made
    made.store.close()


def test_slots_are_filled_and_not_more(stage: Stage) -> None:
    """Of five ready fits two run in two slots; each end makes place for the next; the plan's end is told."""
    jobs = [job(["LightGBM"], target=f"y_{number}") for number in range(5)]
    plan_id = accept(stage.store, *jobs)
    dispatcher = stage.dispatcher()
    for running, begun in ((2, 2), (2, 4), (1, 5)):
        dispatcher.tick()
        assert (len(dispatcher.running), len(stage.specs)) == (running, begun)
        stage.end_all()
    dispatcher.tick()
    assert dispatcher.running == []
    assert len(all_events(stage.store, "FitSucceeded")) == 5
    (finished,) = [news for news in stage.news if isinstance(news, PlanFinished)]
    assert (finished.plan_id, finished.succeeded) == (plan_id, 5)


def test_a_host_rests_behind_a_dear_look_that_found_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many fits may need a label that it lacks: it does not read over them again at each word of the log."""
    accept(stage.store, job(["LightGBM"]))
    dispatcher, looks = stage.dispatcher(), list[float]()

    def in_vain(*_: object, **__: object) -> tuple[Claim, ...]:
        looks.append(stage.clock.now)
        stage.clock.now += 0.1
        return ()

    monkeypatch.setattr(PlanStore, "claim", in_vain)
    began_at = stage.clock.now
    for number in range(200):  # ten seconds at least, with a word each time
        accept(stage.store, job(["LightGBM"], target=f"more_{number}"))
        dispatcher.tick()
        stage.clock.now += 0.05
    share = 0.1 * len(looks) / (stage.clock.now - began_at)
    assert 0.05 < share < 0.15
    dispatcher.reload(stage.settings)
    looks.clear()
    dispatcher.tick()
    assert looks, "with other settings it looks at once"


def test_the_gpu_stage_waits_for_the_cpu_stage(stage: Stage) -> None:
    """No GPU fit starts while a CPU fit of its plan is open, though its slot is free."""
    accept(stage.store, job(["LightGBM", "LSTM", "XGBoost"]))
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    assert [spec.family for spec in stage.specs] == ["LightGBM", "XGBoost"]
    stage.children[0].ends(succeeded(Path("bundle")))
    dispatcher.tick()
    assert len(stage.specs) == 2
    stage.end_all()
    dispatcher.tick()
    assert [spec.family for spec in stage.specs][2:] == ["LSTM"]
    assert stage.specs[2].device_requested == "cuda:0"


def test_a_spec_says_what_the_plan_says(stage: Stage, tmp_path: Path) -> None:
    """Features, leaks, seed and parameters reach the child; paths lie in the installation."""
    accept(
        stage.store,
        job(["lstm"], symbol="AAA", features=["f1", "f2"], blocked_features=["f9"]),
        training={"seed": 5, "test_share": 0.3},
    )
    stage.dispatcher().tick()
    (spec,) = stage.specs
    assert (spec.family, spec.symbol, spec.training_type) == ("LSTM", "AAA", "symbol_specific")
    assert (spec.features, spec.blocked_features) == (("f1", "f2"), ("f9",))
    assert (spec.seed, spec.test_share, dict(spec.params)) == (5, 0.3, {"epochs": 3})
    assert (spec.attempt, spec.panel_key) == (1, "d_1")
    assert spec.bundle_path.is_relative_to(tmp_path / "output" / "o" / "models")
    assert spec.checkpoint_dir.is_relative_to(tmp_path / "results" / "work")


def test_a_blend_is_told_of_its_finished_parts(stage: Stage, tmp_path: Path) -> None:
    """Names, bundles and hashes of those that succeeded, and the weights its job asks for."""
    parts = ["cs_fwd_ret_1d/LightGBM", "cs_fwd_ret_1d/XGBoost", "LightGBM"]
    blend = {"model": "b", "parts": parts, "weights": "equal"}
    own = job(["LightGBM"], symbol="AAA", route="ROUTE_BOTH", priority=3, blend=blend)
    accept(stage.store, own, job(["LightGBM", "XGBoost"]))
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    stage.children[0].ends(succeeded(tmp_path / "own"))
    stage.children[1].ends(Failed(cause="bad_input", sentence="no", where="trace", retryable=False))
    dispatcher.tick()
    stage.children[2].ends(succeeded(tmp_path / "common"))
    dispatcher.tick()
    spec = stage.specs[-1]
    assert (spec.family, spec.job, spec.symbol) == ("Blend", "sym_fwd_ret_1d_AAA", "AAA")
    assert [(part.name, part.family, part.bundle_path.name) for part in spec.parts] == [
        ("sym_fwd_ret_1d_AAA/LightGBM", "LightGBM", "own"),
        ("cs_fwd_ret_1d/XGBoost", "XGBoost", "common"),
    ]
    assert all(part.bundle_sha256 for part in spec.parts)
    assert (spec.blend_weights, spec.device_requested) == ("equal", "cpu")


def test_a_blend_of_networks_waits_for_no_device(stage: Stage) -> None:
    """With all devices taken by other fits it starts in a place of the CPU stage."""
    accept(stage.store, job(["LSTM"], symbol="AAA", metadata={"needs_cs_ensemble": True}), job(["LSTM"]))
    accept(stage.store, job(["LSTM"], target="other"))
    dispatcher = stage.dispatcher()
    for _ in range(2):
        dispatcher.tick()
        stage.end_all()
    dispatcher.tick()
    assert sorted(spec.family for spec in stage.specs[2:]) == ["Blend", "LSTM"]
    assert len(dispatcher.running) == 2


def test_targets_that_are_learnt_together_reach_the_child(stage: Stage) -> None:
    """The others of the plan, where its document names none."""
    accept(stage.store, job(["MultiTask"], target="y"), job(["MultiTask"], target="z"))
    stage.dispatcher().tick()
    assert [(spec.target, spec.other_targets) for spec in stage.specs] == [("y", ("z",))]


def test_the_panel_of_moved_results_is_found(stage: Stage, tmp_path: Path) -> None:
    """Results that were moved or copied as a whole carry their panel cache with them."""
    moved = tmp_path / "results" / "cache" / "panels" / "d_1"
    moved.mkdir(parents=True)
    accept(stage.store, job(["lightgbm"]))
    stage.dispatcher().tick()
    assert stage.specs[0].panel_path == moved
    settings = settings_in(tmp_path)
    kept = {"panel_path": str(tmp_path), "panel_key": "d_1"}
    assert panel_of(kept, settings) == tmp_path
    assert panel_of({**kept, "panel_path": "gone", "panel_key": "d_2"}, settings) == Path("gone")


def test_only_the_plans_asked_for_are_touched(stage: Stage) -> None:
    """A drain of one plan leaves the fits of others alone."""
    accept(stage.store, job(target="y_1"))
    wanted = accept(stage.store, job(target="y_2"))
    dispatcher = stage.dispatcher(plans=[wanted])
    dispatcher.tick()
    assert [spec.target for spec in stage.specs] == ["y_2"]


def test_an_idle_dispatcher_does_not_write(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ready: no claim; what cannot be claimed is tried once, and again after a second."""
    claims: list[str] = []
    real = stage.store.claim

    def counted(worker: str, **more: object) -> object:
        claims.append(str(more["stage"]))
        return real(worker, **more)

    monkeypatch.setattr(stage.store, "claim", counted)
    dispatcher = stage.dispatcher()
    for _ in range(5):
        dispatcher.tick()
    assert claims == []
    assert not dispatcher.expecting
    accept(stage.store)
    (fit,) = stage.store.reading.fits()
    stage.store.hold(fit.id)
    for _ in range(5):
        dispatcher.tick()
    assert claims == ["cpu"]
    assert dispatcher.expecting
    stage.clock.now += 1.5
    dispatcher.tick()
    assert claims == ["cpu"] * 2
    stage.store.lift_hold(fit.id)
    dispatcher.tick()
    assert len(stage.specs) == 1


def test_a_child_that_cannot_start_is_a_failed_attempt(stage: Stage) -> None:
    """When no process can be had the attempt fails in words, the slot is free, and the fit is tried again."""
    accept(stage.store)
    stage.fails_to_start = OSError("no more processes")
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    assert dispatcher.running == []
    (failed,) = all_events(stage.store, "FitFailed")
    assert failed.data["sentence"] == "no more processes"
    assert failed.data["retry"]


def test_a_child_that_cannot_start_while_the_log_is_silent_leaves_the_others_theirs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two claimed fits the first cannot start nor be recorded: the second is started all the same."""

    def silent(*_said: object, **_more: object) -> None:
        raise DatabaseUnavailable(url="sqlite:///log", cause="silent")

    def once(spec: FitSpec, places: FitPlaces) -> FitProcess:
        stage.fails_to_start = OSError("no more processes") if not tried else None
        tried.append(spec.fit)
        return begin(spec, places)

    tried: list[str] = []
    begin = stage.begin
    monkeypatch.setattr(stage, "begin", once)
    monkeypatch.setattr(stage.store, "failed", silent)
    accept(stage.store, *(job(["LightGBM"], target=f"y_{number}") for number in range(2)))
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    assert len(tried) == 2
    assert [runner.claim.fit_id for runner in dispatcher.running] == tried[1:]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_waited_for(stage: Stage, number: int) -> None:
    """A child that cannot start for want of disk uses up no attempt and is tried again after a while."""
    accept(stage.store)
    stage.fails_to_start = OSError(number, os.strerror(number))
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    (failed,) = all_events(stage.store, "FitFailed")
    assert (failed.data["cause"], failed.data["retry"], failed.data["counted"]) == ("disk_full", True, False)
    (fit,) = stage.store.reading.fits()
    assert (fit.state, fit.failures) == ("ready", 0)
    assert stage.store.claim("w", stage="cpu") == ()


def accept_needing(store: PlanStore, *needs: dict[str, int]) -> None:
    """Accept a plan of one CPU fit for each of these needs."""
    plan = complete_plan(
        document(*[job(target=f"y_{number}") for number in range(len(needs))]),
        family_of=family_entry,
        training={"seed": 42},
        data={"panel_key": "d_1", "panel_path": "nowhere", "output": "o"},
    )
    jobs = tuple(
        dataclasses.replace(one, fits=tuple(dataclasses.replace(fit, **need) for fit in one.fits))
        for one, need in zip(plan.jobs, needs, strict=True)
    )
    store.accept(dataclasses.replace(plan, jobs=jobs), source="test", name="test")


def test_a_fit_takes_as_many_places_as_it_needs(stage: Stage) -> None:
    """A fit of two places fills two slots and gets twice the threads; the others wait for its end."""
    accept_needing(stage.store, {"cores": 2}, {"cores": 1}, {"cores": 1})
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    assert [(spec.target, spec.threads) for spec in stage.specs] == [("y_0", 2)]
    stage.end_all()
    dispatcher.tick()
    assert [(spec.target, spec.threads) for spec in stage.specs[1:]] == [("y_1", 1), ("y_2", 1)]


def test_a_fit_that_needs_more_than_there_is_stays(stage: Stage) -> None:
    """More places or memory than the host has: it is left to others, and those behind it go on."""
    stage.settings = dataclasses.replace(stage.settings, memory_bytes=100)
    accept_needing(
        stage.store, {"cores": 3}, {"memory_bytes": 60}, {"memory_bytes": 60}, {"memory_bytes": 10}
    )
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    dispatcher.tick()  # what did not fit beside the first is passed over, and the next one looked at
    assert [spec.target for spec in stage.specs] == ["y_1", "y_3"]
    stage.end_all()
    dispatcher.tick()
    assert [spec.target for spec in stage.specs] == ["y_1", "y_3", "y_2"]


def test_a_paused_host_starts_nothing(stage: Stage) -> None:
    """A pause of this host holds for its dispatcher, one of another host does not."""
    here = own_identity().host
    accept(stage.store)
    stage.store.pause(host="far")
    stage.store.pause(host=here)
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    assert stage.specs == []
    stage.store.resume(host=here)
    dispatcher.tick()
    assert len(stage.specs) == 1


def test_a_lost_lease_is_noticed_with_the_event(stage: Stage) -> None:
    """A cancelled fit is ended at the next turn, whenever its lease was renewed; the others go on."""
    accept(stage.store, job(target="y_1"), job(target="y_2"))
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    stage.store.cancel(stage.specs[0].fit)
    dispatcher.tick()
    assert [child.was_killed for child in stage.children] == [True, False]
    assert [runner.claim.target for runner in dispatcher.running] == ["y_2"]


def test_stopping_claims_nothing_more(stage: Stage) -> None:
    """After the word to stop, fits that end leave their slots empty."""
    accept(stage.store, *[job(target=f"y_{number}") for number in range(4)])
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    dispatcher.ask_to_stop("shutdown")
    assert all(child.was_asked_to_stop for child in stage.children)
    stage.children[0].ends(Stopped(step=3))
    dispatcher.tick()
    assert len(dispatcher.running) == 1
    dispatcher.end_all()
    assert dispatcher.running == []
    assert len(stage.specs) == 2
    assert {fit.state for fit in stage.store.reading.fits()} == {"ready"}


def test_a_silent_database_stops_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick while the event log does not answer is a tick without claims."""
    accept(stage.store)

    def silent(*_words: object, **_more: object) -> None:
        raise DatabaseUnavailable(url="db", cause="away")

    with monkeypatch.context() as patch:
        patch.setattr(PlanStore, "claim", silent)
        dispatcher = stage.dispatcher()
        dispatcher.tick()
        assert dispatcher.running == []
    dispatcher.tick()
    assert len(dispatcher.running) == 1


def test_the_rescuer_takes_back_from_the_dead(stage: Stage) -> None:
    """The fits of a process of this host that is gone are ready at once; those of a living one are not."""
    accept(stage.store, job(target="y_1"), job(target="y_2"))
    here = own_identity()
    dead = dataclasses.replace(here, started=1).worker
    stage.store.claim(dead, stage="cpu", limit=1, lease_seconds=3600)
    stage.store.claim(here.worker, stage="cpu", limit=1, lease_seconds=3600)
    (rescue,) = Rescuer(stage.store, here, tell=stage.news.append).rescue()
    assert (rescue.worker, rescue.cause) == (dead, "daemon gone")
    assert sorted(fit.state for fit in stage.store.reading.fits()) == ["claimed", "ready"]
    assert [type(news) for news in stage.news] == [FitRescued]


def test_a_rescue_can_wait_for_the_database(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the event log does not answer nothing is rescued and nothing breaks."""

    def silent(*_words: object, **_more: object) -> None:
        raise DatabaseUnavailable(url="db", cause="away")

    monkeypatch.setattr(PlanStore, "rescue", silent)
    assert Rescuer(stage.store, own_identity()).rescue() == ()
