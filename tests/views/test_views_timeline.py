"""Which attempt ran when: lanes, what waited, the past, a part of it, and a plan of many fits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from store_samples import STARTED, SUCCEEDED, Clock, cs_job, plan_of

from daemon.views.timeline import Timeline, seq_at, timeline
from daemon.views.timeline_drawn import drawn
from store import PlanStore, open_store
from store.events import FitProgressed, FitReleased
from store.history import past_at_seq
from store.plan import Plan
from store.records import Claim, Failure


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(sqlite_url: str, clock: Clock) -> Iterator[PlanStore]:
    """An empty store whose clock only the test moves."""
    with open_store(sqlite_url, clock=clock) as opened:
        yield opened


@pytest.fixture
def plan(store: PlanStore) -> Plan:
    """Three jobs of a CPU and a GPU fit each, accepted."""
    made = plan_of(cs_job("a"), cs_job("b"), cs_job("c"))
    store.accept(made, source="test", name="t")
    return made


def claimed(store: PlanStore, clock: Clock, *, stage: str = "cpu", fits: int = 1) -> tuple[Claim, ...]:
    claims = store.claim("w", stage=stage, limit=fits, lease_seconds=1e6)
    for claim in claims:
        store.started(claim, STARTED)
    clock.move(10)
    return claims


def found(store: PlanStore, **asked: object) -> Timeline:
    told = timeline(store.reading, **asked)  # type: ignore[arg-type]
    assert told is not None
    return told


def kinds(told: Timeline) -> dict[str, list[str]]:
    """How the attempts ended, by the name of their fit."""
    every = sorted((one.name, one.kind) for stage in told.stages for lane in stage.lanes for one in lane)
    return {name: [kind for other, kind in every if other == name] for name, _ in every}


def test_before_anything_is_planned_there_is_no_timeline(store: PlanStore) -> None:
    """An empty log has no picture; a plan that waits has one without bars."""
    assert timeline(store.reading) is None
    store.accept(plan_of(cs_job("a")), source="test", name="t")
    told = found(store)
    assert [(stage.stage, stage.lanes, stage.queued_total) for stage in told.stages] == [
        ("cpu", (), 1),
        ("gpu", (), 1),
    ]


def test_attempts_that_run_together_lie_in_lanes_side_by_side(
    store: PlanStore, clock: Clock, plan: Plan
) -> None:
    """Two at a time take two lanes; the third goes where the first has ended."""
    one, two = claimed(store, clock, fits=2)
    store.succeeded(one, SUCCEEDED)
    claimed(store, clock)
    store.succeeded(two, SUCCEEDED)
    told = found(store)
    assert [[segment.name for segment in lane] for lane in told.stages[0].lanes] == [
        ["cs_a/LightGBM", "cs_c/LightGBM"],
        ["cs_b/LightGBM"],
    ]
    assert told.stages[0].lanes[0][0].end == told.stages[0].lanes[0][1].start


def test_every_attempt_of_a_fit_is_a_segment_with_its_end(store: PlanStore, clock: Clock, plan: Plan) -> None:
    """A failure that is tried again, a stop and a success are three bars of one fit."""
    claim = claimed(store, clock)[0]
    store.failed(claim, Failure(cause="crash", sentence="Out of luck", retryable=True))
    clock.move(10_000)
    again = next(one for one in claimed(store, clock, fits=3) if one.fit_id == claim.fit_id)
    store.released(again, FitReleased(cause="the daemon stops", step=None))
    clock.move(10_000)
    last = next(one for one in claimed(store, clock, fits=3) if one.fit_id == claim.fit_id)
    store.succeeded(last, SUCCEEDED)
    told = found(store)
    assert kinds(told)["cs_a/LightGBM"] == ["failed", "lost", "succeeded"]
    segments = [one for lane in told.stages[0].lanes for one in lane if one.name == "cs_a/LightGBM"]
    assert sorted((one.attempt, one.again) for one in segments) == [(1, True), (2, True), (3, False)]
    assert "attempt 2: lost or given back after 10s, back in the queue" in drawn(told)


def test_a_running_fit_says_how_far_it_is(store: PlanStore, clock: Clock, plan: Plan) -> None:
    """The share of its steps is drawn into its bar, which ends at now."""
    claim = claimed(store, clock)[0]
    store.progressed(claim, FitProgressed(step=30, steps_total=120))
    told = found(store, now=clock.now)
    running = told.stages[0].lanes[0][0]
    assert (running.kind, running.end, running.done) == ("running", None, 0.25)
    assert told.now is not None
    assert abs(told.now - clock.now) <= (told.end - told.start) / 500
    assert "25 % of its steps" in drawn(told)


def test_how_many_waited_is_told_from_the_acceptance_on(store: PlanStore, clock: Clock, plan: Plan) -> None:
    """Each claim takes one from those that wait, and what is tried again comes back."""
    claim = claimed(store, clock)[0]
    clock.move(5)
    store.failed(claim, Failure(cause="crash", sentence="Out of luck", retryable=True))
    clock.move(5)
    claimed(store, clock, fits=1)
    waiting = found(store).stages[0].waiting
    assert [count for _, count in waiting][-3:] == [2, 3, 2]
    assert [fit.name for fit in found(store).stages[1].queued] == ["cs_a/LSTM", "cs_b/LSTM", "cs_c/LSTM"]


def test_the_picture_of_a_past_moment_is_as_it_was(
    store: PlanStore, clock: Clock, plan: Plan, sqlite_url: str
) -> None:
    """A fit that has succeeded since still runs in the picture of that moment."""
    claim = claimed(store, clock)[0]
    seq = store.reading.head_seq()
    clock.move(100)
    store.succeeded(claim, SUCCEEDED)
    claimed(store, clock, fits=2)
    then = past_at_seq(sqlite_url, seq).reader
    told = found(store, then=then, until=seq)
    assert kinds(told) == {"cs_a/LightGBM": ["running"]}
    assert told.stages[0].queued_total == 2
    assert kinds(found(store))["cs_a/LightGBM"] == ["succeeded"]


def test_a_part_of_the_past_shows_what_overlaps_it(store: PlanStore, clock: Clock, plan: Plan) -> None:
    """Attempts that ended before or began after are left out; one that spans it all is there."""
    begin = clock.now
    early, long = claimed(store, clock, fits=2)
    store.succeeded(early, SUCCEEDED)
    clock.move(1000)
    late = claimed(store, clock)[0]
    store.succeeded(late, SUCCEEDED)
    clock.move(1000)
    store.succeeded(long, SUCCEEDED)
    told = found(store, start=begin + timedelta(seconds=300), end=begin + timedelta(seconds=600))
    assert kinds(told) == {"cs_b/LightGBM": ["succeeded"]}
    assert (told.start, told.end) == (begin + timedelta(seconds=300), begin + timedelta(seconds=600))
    assert told.now is None


def test_of_many_attempts_the_newest_are_shown(store: PlanStore, clock: Clock) -> None:
    """However many fits there are, so many bars are drawn, and it is said that older ones are left out."""
    jobs = [cs_job(f"y{number:02d}", families=("LightGBM",)) for number in range(40)]
    store.accept(plan_of(*jobs), source="s", name="t")
    for _ in range(40):
        store.succeeded(claimed(store, clock)[0], SUCCEEDED)
    told = found(store, limit=10)
    assert told.shown == 10
    assert told.before is not None
    assert told.before <= told.start + timedelta(seconds=20)
    assert sorted(kinds(told)) == [f"cs_y{number}/LightGBM" for number in range(30, 40)]
    assert told.end - told.start <= timedelta(seconds=120)


def test_what_ran_long_before_is_left_out(store: PlanStore, clock: Clock) -> None:
    """After a rest the picture begins with what came then, and says when the work before it ended."""
    store.accept(plan_of(cs_job("a", families=("LightGBM",))), source="test", name="t")
    store.succeeded(claimed(store, clock)[0], SUCCEEDED)
    ended = clock.now
    clock.move(86_400)
    store.accept(plan_of(cs_job("b", families=("LightGBM",))), source="test", name="u")
    store.succeeded(claimed(store, clock)[0], SUCCEEDED)
    told = found(store, now=clock.now)
    assert kinds(told) == {"cs_b/LightGBM": ["succeeded"]}
    assert told.before == ended
    assert told.end - told.start <= timedelta(seconds=60)
    earlier = found(store, start=ended - timedelta(seconds=60), end=ended)
    assert kinds(earlier) == {"cs_a/LightGBM": ["succeeded"]}
    assert earlier.before is None


def test_a_rest_while_fits_waited_stays_in_the_picture(store: PlanStore, clock: Clock, plan: Plan) -> None:
    """A host that stood still for a day with work to do is to be seen."""
    store.succeeded(claimed(store, clock)[0], SUCCEEDED)
    clock.move(86_400)
    store.succeeded(claimed(store, clock)[0], SUCCEEDED)
    assert sorted(kinds(found(store, now=clock.now))) == ["cs_a/LightGBM", "cs_b/LightGBM"]


def test_the_picture_of_a_plan_has_only_its_attempts(store: PlanStore, clock: Clock, plan: Plan) -> None:
    """Another plan's fits are neither among the bars nor among those that wait."""
    claimed(store, clock)
    other = plan_of(cs_job("z", families=("LightGBM",)))
    store.accept(other, source="test", name="other")
    assert kinds(found(store, plan=plan.id)) == {"cs_a/LightGBM": ["running"]}
    told = found(store, plan=other.id)
    assert (kinds(told), told.stages[0].queued_total) == ({}, 1)


def test_a_moment_is_found_in_few_questions(store: PlanStore, clock: Clock, plan: Plan) -> None:
    """The last event up to a moment: none before the first, the head at the end."""
    first = clock.now
    clock.move(60)
    claimed(store, clock)
    head = store.reading.head_seq()
    assert seq_at(store.reading, first - timedelta(seconds=1)) == 0
    assert seq_at(store.reading, clock.now) == head
    accepted = seq_at(store.reading, first + timedelta(seconds=30))
    assert 0 < accepted < head
    assert store.reading.events(after=accepted, limit=1)[0].at > first + timedelta(seconds=30)


def test_a_look_a_moment_later_is_the_same_picture(store: PlanStore, clock: Clock, plan: Plan) -> None:
    """While nothing happens the picture changes only when now has moved by a point of it."""
    claimed(store, clock)
    clock.move(600)
    first = drawn(found(store, now=clock.now))
    clock.move(0.05)
    assert drawn(found(store, now=clock.now)) == first
    clock.move(60)
    assert drawn(found(store, now=clock.now)) != first
