"""Events to text and back: nothing is lost, old shapes are lifted, unknown ones stay readable."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import codec
from store.codec import decode, encode
from store.events import (
    EVENT_TYPES,
    FitFailed,
    FitProgressed,
    JobPlanned,
    LeaseExpired,
    PlannedFit,
    PlanningStarted,
    UnknownEvent,
)

JOB = JobPlanned(
    job="cs_y",
    ordinal=0,
    target="y",
    symbol=None,
    route="ROUTE_BOTH",
    training_type="cross_sectional",
    priority=2,
    reason="→",
    record={"x": [1, {"y": None}]},
    fits=(PlannedFit(fit="f_1", family="LSTM", stage="gpu", ordinal=4),),
)
EXPIRED = LeaseExpired(
    worker="w",
    cause="daemon gone",
    last_seen_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    last_checkpoint_step=None,
    lost_seconds=0.5,
)


@pytest.mark.parametrize("event", [JOB, EXPIRED, PlanningStarted(data_dir="d", symbols=("A", "B"))])
def test_an_event_survives_the_way_there_and_back(event: Any) -> None:
    """Nested records, moments and tuples come back as they were."""
    assert decode(event.kind, event.schema_version, encode(event)) == event


@given(st.builds(FitProgressed, step=st.integers(0, 2**40), steps_total=st.integers(0, 2**40)), st.floats())
def test_any_number_survives_or_becomes_none(event: FitProgressed, loss: float) -> None:
    """A finite loss comes back bit for bit; NaN and infinities come back as None."""
    told = dataclasses.replace(event, train_loss=loss)
    back = decode("FitProgressed", 1, encode(told))
    assert isinstance(back, FitProgressed)
    assert back.train_loss == (loss if abs(loss) < float("inf") else None)


@given(st.text() | st.just("\ud800 and \0"))
def test_any_text_is_stored_without_nul_and_half_surrogates(text: str) -> None:
    """Every sentence can be written, to Postgres too."""
    back = decode("FitFailed", 1, encode(FitFailed(cause="library", sentence=text)))
    assert isinstance(back, FitFailed)
    assert "\0" not in back.sentence
    assert back.sentence.encode().decode() == back.sentence


def test_kinds_are_unique_and_payloads_canonical() -> None:
    """No two events share a kind, and a payload's keys are sorted."""
    assert len({event.kind for event in EVENT_TYPES}) == len(EVENT_TYPES)
    keys = list(json.loads(encode(EXPIRED)))
    assert keys == sorted(keys)


def test_an_old_payload_is_lifted_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload of version 1 becomes today's version 3 through both lifts, in order."""

    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Polished:
        kind = "FitPolished"
        schema_version = 3
        shine: int
        by: str

    monkeypatch.setattr(codec, "_TYPES", {"FitPolished": Polished})
    monkeypatch.setitem(codec.LIFTS, ("FitPolished", 1), lambda old: {"gloss": old["shine"] * 10})
    monkeypatch.setitem(codec.LIFTS, ("FitPolished", 2), lambda old: {"shine": old["gloss"], "by": "hand"})
    assert decode("FitPolished", 1, '{"shine": 4}') == Polished(shine=40, by="hand")
    assert decode("FitPolished", 2, '{"gloss": 4}') == Polished(shine=4, by="hand")


@pytest.mark.parametrize(
    ("kind", "version", "text"),
    [
        ("FitPolished", 1, '{"a": 1}'),
        ("FitClaimed", 99, '{"worker": "w"}'),
        ("FitClaimed", 1, '{"worker": "w"}'),
        ("FitClaimed", 1, "[1]"),
        ("JobPlanned", 1, '{"fits": [7]}'),
        ("LeaseExpired", 1, encode(EXPIRED).replace("2026", "never")),
    ],
)
def test_what_is_not_known_is_readable(kind: str, version: int, text: str) -> None:
    """An unknown kind, a later version or a broken payload is an UnknownEvent that keeps the payload."""
    event = decode(kind, version, text)
    assert isinstance(event, UnknownEvent)
    assert (event.named, event.version) == (kind, version)
    assert event.data


def test_fields_of_a_later_minor_version_are_left_out() -> None:
    """A payload with one field more than we know is still the event."""
    assert decode("FitProgressed", 1, '{"step": 1, "steps_total": 2, "eta": 3}') == FitProgressed(
        step=1, steps_total=2
    )
