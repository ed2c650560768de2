"""The fold is total: any event in any state gives a state, never an error."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import events
from store.events import EVENT_TYPES, Event, PlannedFit
from store.folding import fold
from store.log import Recorded
from store.projections import MemoryRows
from store.state import FINAL_STATES, FitState, PlanState

VALUES: dict[str, Any] = {
    "int": 3, "float": 0.5, "str": "x", "bool": True,
    "int | None": None, "str | None": None, "float | None": 0.25,
    "datetime | None": datetime(2026, 1, 1, tzinfo=UTC), "Mapping[str, Any]": {"a": 1},
    "tuple[str, ...]": ("a",), "tuple[str, ...] | None": ("a",),
    "Mapping[str, str]": {"a": "b"}, "Mapping[str, float]": {"a": 0.5},
    "tuple[PlannedFit, ...]": (PlannedFit(fit="f_1", family="F", stage="cpu", ordinal=0),),
}  # fmt: skip


def sample(kind: type[Event]) -> Event:
    """An event of a kind, filled with plain values."""
    made = {item.name: VALUES[str(item.type)] for item in dataclasses.fields(kind)}
    if "plan" in made:
        made["plan"] = "p_1"
    event: Event = kind(**made)
    return event


def recorded(event: Event, seq: int) -> Recorded:
    return Recorded(
        seq=seq,
        event_id=bytes(16),
        stream="fit-f_1",
        version=seq,
        recorded_at=seq,
        actor="w",
        correlation_id=None,
        causation_id=None,
        plan="p_1",
        job="j",
        fit="f_1",
        attempt=1,
        event=event,
        hash=bytes(32),
    )


def test_every_event_has_a_sample() -> None:
    """The samples below cover every kind there is, with every field of its declared type."""
    assert [sample(kind).kind for kind in EVENT_TYPES] == [kind.kind for kind in EVENT_TYPES]
    assert all(get_type_hints(kind, vars(events)) for kind in EVENT_TYPES)


@given(st.lists(st.sampled_from(EVENT_TYPES), max_size=30))
@settings(max_examples=150, deadline=None)
def test_any_sequence_of_events_folds(kinds: list[type[Event]]) -> None:
    """Events out of order, about fits nobody planned, or twice, leave a sound state."""
    rows = MemoryRows()
    for seq, kind in enumerate(kinds, start=1):
        fold(rows, recorded(sample(kind), seq))
    for row in rows.of(FitState).values():
        assert isinstance(row, FitState)
        assert row.state in FINAL_STATES | {"ready", "claimed", "running"}


@given(st.lists(st.sampled_from(EVENT_TYPES[4:15]), max_size=40))
@settings(max_examples=150, deadline=None)
def test_the_counts_of_a_plan_are_those_of_its_fits(kinds: list[type[Event]]) -> None:
    """Whatever happens to the one fit of a plan, the plan counts it once, in its state."""
    rows = MemoryRows()
    for seq, kind in enumerate([events.PlanAccepted, events.JobPlanned, *kinds], start=1):
        fold(rows, recorded(sample(kind), seq))
    plan, fit = rows.get(PlanState, "p_1"), rows.get(FitState, "f_1")
    assert plan is not None
    assert fit is not None
    counts = {state: getattr(plan, state) for state in FINAL_STATES}
    assert counts == {state: int(fit.state == state) for state in FINAL_STATES}


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_an_event_without_a_plan_changes_no_plan(kind: type[Event]) -> None:
    """Folded into nothing, an event adds at most its own row."""
    rows = MemoryRows()
    fold(rows, recorded(sample(kind), 1))
    assert len(list(rows)) <= 1
