"""Plans beside each other on one host: they share its places, and nothing waits for ever for room."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import accept, document, job, succeeded
from dispatcher_stage import Stage

from daemon.admission import family_entry
from daemon.dispatcher import Dispatcher
from store import Plan, complete_plan


@pytest.fixture
def stage(tmp_path: Path, sqlite_url: str) -> Iterator[Stage]:
    """A stage on a fresh store, its host with four places and a device."""
    made = Stage(tmp_path, sqlite_url)
    made.settings = dataclasses.replace(made.settings, cpu_slots=4)
    yield made
    made.store.close()


def jobs(name: str, count: int, priority: int = 2) -> list[dict[str, object]]:
    return [job(target=f"{name}{number}", priority=priority) for number in range(count)]


def begun(stage: Stage, after: int = 0) -> list[str]:
    """The targets of the fits that were started, in their order."""
    return [spec.target for spec in stage.specs[after:]]


def end(stage: Stage, dispatcher: Dispatcher, *targets: str) -> None:
    """Let the fits of some targets succeed, and the dispatcher take a turn."""
    for spec, child in zip(stage.specs, stage.children, strict=True):
        if spec.target in targets:
            child.ends(succeeded(Path("bundle")))
    dispatcher.tick()


def with_cores(name: str, cores: int) -> Plan:
    """A plan of one fit that takes so many places."""
    made = complete_plan(
        document(job(target=name), name=name), family_of=family_entry, training={}, data={"output": name}
    )
    (one,) = made.jobs
    fits = tuple(dataclasses.replace(fit, cores=cores) for fit in one.fits)
    return dataclasses.replace(made, jobs=(dataclasses.replace(one, fits=fits),))


def test_two_plans_share_the_places(stage: Stage) -> None:
    """Each has two of four; a place that comes free goes to the plan that has less at work."""
    accept(stage.store, *jobs("a", 6))
    accept(stage.store, *jobs("b", 6))
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    assert sorted(begun(stage)) == ["a0", "a1", "b0", "b1"]
    end(stage, dispatcher, "b0")
    assert begun(stage, 4) == ["b2"]
    end(stage, dispatcher, "a0")
    assert begun(stage, 5) == ["a2"]


def test_the_steps_of_the_settings_hold_and_can_be_changed(stage: Stage) -> None:
    """Without a share step the older plan has all; after a reload the younger one is served."""
    stage.settings = dataclasses.replace(stage.settings, share_step_seconds=0.0)
    accept(stage.store, *jobs("a", 9))
    accept(stage.store, *jobs("b", 9))
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    assert begun(stage) == ["a0", "a1", "a2", "a3"]
    dispatcher.reload(dataclasses.replace(stage.settings, share_step_seconds=60.0))
    end(stage, dispatcher, "a0", "a1")
    assert begun(stage, 4) == ["b0", "b1"]


def test_a_fit_that_needs_every_place_has_its_turn(stage: Stage) -> None:
    """While small fits keep coming, room is kept for the large one that waits; then it runs alone."""
    stage.settings = dataclasses.replace(stage.settings, priority_step_seconds=0.0)
    accept(stage.store, *jobs("a", 2))
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    stage.store.accept(with_cores("large", 4), source="test", name="large")
    accept(stage.store, *jobs("b", 4))
    dispatcher.tick()
    assert begun(stage) == ["a0", "a1"], "a small fit took room that the large one waits for"
    end(stage, dispatcher, "a0")
    assert begun(stage, 2) == []
    end(stage, dispatcher, "a1")
    assert begun(stage, 2) == ["large"]
    end(stage, dispatcher, "large")
    assert sorted(begun(stage, 3)) == ["b0", "b1", "b2", "b3"]


def test_a_blend_is_not_kept_waiting_by_cpu_fits(stage: Stage) -> None:
    """A fit of the GPU stage that needs a place of the CPU stage has the next one, whoever waits there."""
    stage.settings = dataclasses.replace(stage.settings, cpu_slots=1)
    own = job(["LSTM"], symbol="AAA", route="ROUTE_BOTH", metadata={"needs_cs_ensemble": True})
    accept(stage.store, own, job(["LSTM"]))
    accept(stage.store, *jobs("b", 5))
    dispatcher = stage.dispatcher()
    dispatcher.tick()
    assert sorted(spec.family for spec in stage.specs) == ["LSTM", "LightGBM"]
    first = next(place for place, spec in enumerate(stage.specs) if spec.family == "LSTM")
    stage.children[first].ends(succeeded(Path("bundle")))
    dispatcher.tick()
    assert stage.specs[2].family == "LSTM"
    for child in (stage.children[2], stage.children[1 - first]):
        child.ends(succeeded(Path("bundle")))
    dispatcher.tick()
    assert [spec.family for spec in stage.specs[3:]] == ["Blend"]
