"""What readers ask about the queue: groups, heads, names and the rest of a plan, alike on both engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_samples import STARTED, SUCCEEDED, cs_job, plan_of

from store import Failure, PlanStore
from store.naming import NOUNS


@pytest.fixture
def queue(plan_store: PlanStore) -> PlanStore:
    """Two plans; of the first one fit is held, one failed and is ready again, one has a model."""
    first = plan_of(*(cs_job(f"y_{name}", priority=number) for number, name in enumerate("abcd")))
    plan_store.accept(first, source="test", name="first")
    plan_store.hold(plan_store.reading.fit("cs_y_a/LightGBM").id, reason="later")
    done, failed = plan_store.claim("w", stage="cpu", limit=2)
    plan_store.started(done, STARTED)
    plan_store.succeeded(done, replace(SUCCEEDED, seconds=8.0))
    plan_store.started(failed, STARTED)
    plan_store.failed(failed, Failure(cause="library", sentence="it broke", retryable=True))
    plan_store.accept(plan_of(cs_job("z_100%", families=("XGBoost",)), seed=2), source="test", name="second")
    return plan_store


def test_ready_fits_are_counted_by_what_holds_them_back(queue: PlanStore) -> None:
    """Each group with one of its fits, and together as many as are ready."""
    groups = queue.reading.ready_groups()
    ready = queue.reading.fits(states=("ready",))
    assert sum(group.fits for group in groups) == len(ready)
    assert {fit.id for fit in ready} >= {group.first for group in groups}
    names = {queue.reading.fit(group.first).name: (group.fits, group.held) for group in groups}
    assert names["cs_y_a/LightGBM"] == (1, True)
    assert sorted(fits for fits, _ in names.values()) == [
        1,
        1,
        2,
        4,
    ]  # held; z; b and c; those of the GPU stage


def test_the_groups_are_the_same_whether_they_are_scanned_or_looked_up(
    queue: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ways to the same answer, by how much of the log waits."""
    found = []
    for share in (0.0, 1.0):
        monkeypatch.setattr("store.waiting._SCAN_FROM_SHARE", share)
        found.append(queue.reading.ready_groups())
    assert found[0] == found[1]


def test_each_open_plan_has_a_head(queue: PlanStore) -> None:
    """The most urgent that could be claimed; GPU fits stand behind the stage barrier."""
    heads = [queue.reading.fit(fit_id).name for fit_id in queue.reading.queue_heads("cpu")]
    assert heads == ["cs_y_c/LightGBM", "cs_z_100%/XGBoost"]
    assert queue.reading.queue_heads("gpu") == ()


@pytest.mark.parametrize(
    ("noun", "begin", "found"),
    [
        ("job", "cs_y", ("cs_y_a", "cs_y_b", "cs_y_c", "cs_y_d")),
        ("job", "cs_z_100%", ("cs_z_100%",)),
        ("fit", "cs_y_b/", ("cs_y_b/LSTM", "cs_y_b/LightGBM")),
        ("target", "z", ("z_100%",)),
        ("family", "L", ("LSTM", "LightGBM")),
        ("symbol", "", ()),
        ("job", "%", ()),
    ],
)
def test_names_are_found_by_how_they_begin(
    queue: PlanStore, noun: str, begin: str, found: tuple[str, ...]
) -> None:
    """Signs that stand for anything elsewhere stand for themselves here."""
    assert sorted(queue.reading.names(noun, begin)) == sorted(found)


def test_plans_come_newest_first_and_never_more_than_asked_for(queue: PlanStore) -> None:
    """Of every kind of name."""
    plans = [plan.id for plan in queue.reading.plans()]
    assert list(queue.reading.names("plan")) == plans[::-1]
    assert queue.reading.names("plan", limit=1) == (plans[-1],)
    assert all(len(queue.reading.names(noun, limit=1)) <= 1 for noun in NOUNS)


def test_the_rest_of_a_plan_is_counted_by_kind(queue: PlanStore) -> None:
    """What is open, what is held, and what the one that ended took."""
    first, second = queue.reading.plans()
    rest = {(kind.stage, kind.family): kind for kind in queue.reading.rest(first.id)}
    cpu = rest["cpu", "LightGBM"]
    assert (cpu.open, cpu.held, cpu.ended, cpu.seconds) == (2, 1, 1, 8.0)
    assert rest["gpu", "LSTM"].open == 4
    (other,) = queue.reading.rest(second.id)
    assert (other.open, other.seconds) == (1, None)
    assert queue.reading.rest("p_unknown") == ()


def test_of_a_plan_of_many_fits_an_even_sample_stands_for_all(
    queue: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers are scaled to what is open, whatever part was looked at."""
    monkeypatch.setattr("store.rest._SAMPLED_FROM", 30)
    jobs = [cs_job(f"y_{number:03d}") for number in range(100)]
    plan_id = queue.accept(plan_of(*jobs, seed=3), source="test", name="many").plan_id
    rest = queue.reading.rest(plan_id)
    assert sum(kind.open for kind in rest) == pytest.approx(200, abs=2)
    assert min(kind.open for kind in rest) > 60
