"""Events in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.views.event_words import QUIET, WORDS_MAX, event_told
from store.events import EVENT_TYPES
from store.records import EventRow

KINDS = [kind.kind for kind in EVENT_TYPES]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    (
        "metrics",
        "seconds",
        "cause",
        "sentence",
        "reason",
        "lost_seconds",
        "step",
        "valid_loss",
        "name",
        "retry",
        "plan",
    )
)


def event(kind: str, data: dict[str, Any], **changes: Any) -> EventRow:
    given = {
        "seq": 7, "event_id": "0" * 32, "stream": "fit/f_1", "version": 2, "kind": kind, "schema_version": 1,
        "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "actor": "daemon", "correlation": None,
        "plan": "p_1", "job": "cs_y", "fit": "f_1", "attempt": 1, "data": data,
    }  # fmt: skip
    return EventRow(**{**given, **changes})


@given(st.sampled_from([*KINDS, "SomethingLater"]), st.dictionaries(keys, values, max_size=6))
def test_any_event_has_words(kind: str, data: dict[str, Any]) -> None:
    """No payload, of this or a later version, makes the telling fail or grow without end."""
    told = event_told(event(kind, data))
    assert len(told.words) <= WORDS_MAX
    assert told.kind == kind
    assert told.quiet is (kind in QUIET)


@pytest.mark.parametrize(
    ("kind", "data", "words", "tone"),
    [
        (
            "FitSucceeded",
            {"metrics": {"metric": "ic", "score": 0.1012}, "seconds": 37.2},
            "ic +0.101, 37s",
            "good",
        ),
        (
            "FitFailed",
            {"cause": "oom", "sentence": "too little", "retry": True},
            "oom: too little; it is tried again",
            "bad",
        ),
        ("FitStarted", {"device_used": "cuda:0", "resumed_from_step": 40}, "on cuda:0, from step 40", "busy"),
        (
            "LeaseExpired",
            {"cause": "daemon gone", "lost_seconds": 61},
            "daemon gone, 1m 01s of work lost",
            "bad",
        ),
        (
            "WorkPaused",
            {"plan": None, "stage": "gpu", "host": None, "reason": "the card"},
            "stage gpu: the card",
            "wait",
        ),
        (
            "PlanCompleted",
            {"succeeded": 3, "failed": 0, "unavailable": 1, "cancelled": 0},
            "3 succeeded, 1 unavailable",
            "good",
        ),
    ],
)
def test_what_matters_is_said_first(kind: str, data: dict[str, Any], words: str, tone: str) -> None:
    """Each event says what somebody wants to know of it, in one short line, with its tone."""
    told = event_told(event(kind, data))
    assert (told.words, told.tone) == (words, tone)


def test_a_second_attempt_and_a_person_are_named() -> None:
    """Words of people say whose they are; an attempt after the first says which it is."""
    held = event_told(event("FitHeld", {"reason": "look first"}, actor="anna", attempt=None))
    assert held.words == "by anna: look first"
    assert event_told(event("FitStarted", {"device_used": "cpu"}, attempt=3)).words == "attempt 3, on cpu"
    assert event_told(event("FitStarted", {}), "cs_y/LSTM").about == "cs_y/LSTM"
