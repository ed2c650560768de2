"""Looking back with ``--at`` and ``--until``: the store as it was at a moment."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cli_samples import BROKEN, STOPPED, TRAINED, Call, living_daemon

from store import EventRow, PlanStore
from store.errors import WriteRefused
from store.history import past


def moment_between(store: PlanStore, kind: str) -> tuple[EventRow, str]:
    """The first event of a kind, and the moment it was recorded at."""
    (event, *_) = store.events(kinds=(kind,))
    return event, event.at.isoformat()


def test_status_tells_of_the_past(call: Call, filled: PlanStore) -> None:
    """At the moment of the acceptance nothing was done yet; now it is."""
    _, at = moment_between(filled, "PlanAccepted")
    then, now = call("status", "--at", at, "--json").document, call("status", "--json").document
    assert (then["plans"][0]["succeeded"], then["plans"][0]["open"]) == (0, 4)
    assert (now["plans"][0]["succeeded"], now["plans"][0]["open"]) == (1, 2)
    assert then["as_of"]["seq"] < filled.head_seq()
    assert "as_of" not in now
    assert f"behind event {then['as_of']['seq']:,}" in call("status", "--at", at).out


def test_jobs_tells_of_the_past(call: Call, filled: PlanStore) -> None:
    """Each fit stands as it stood then, with the reason why it waited then."""
    filled.daemon_started(living_daemon())
    filled.hold(filled.reading.fit(STOPPED).id, reason="later")
    _, at = moment_between(filled, "PlanAccepted")
    then = {fit["name"]: fit for fit in call("jobs", "--at", at, "--json").document["fits"]}
    assert {then[name]["state"] for name in (TRAINED, BROKEN, STOPPED)} == {"ready"}
    assert then[STOPPED]["waiting"]["code"] == "NoWorker"
    now = {fit["name"]: fit for fit in call("jobs", "--json").document["fits"]}
    assert now[STOPPED]["waiting"]["code"] == "Held"


def test_the_past_equals_the_projections_of_then(filled: PlanStore) -> None:
    """Folded up to the last event, the past is what the projections hold; it cannot be written."""
    head = filled.events(after=filled.head_seq() - 1)[0]
    found = past(filled.info().url, head.at + timedelta(seconds=1))
    assert found.seq == filled.head_seq()
    assert found.reader.fits() == filled.reading.fits()
    assert found.reader.plans() == filled.reading.plans()
    assert found.reader.now() > int(head.at.timestamp() * 1_000_000)
    with pytest.raises(WriteRefused):
        PlanStore(found.reader._database).hold("f_1")


def test_before_the_first_event_there_is_nothing(call: Call, filled: PlanStore) -> None:
    """A moment before the log began is not found: exit 4."""
    assert filled.head_seq()
    done = call("status", "--at", "2001-01-01")
    assert done.code == 4
    assert "2001-01-01" in done.err


@pytest.mark.parametrize("words", ["yesterday", "-2y"])
def test_a_moment_that_is_none_is_a_usage_error(call: Call, filled: PlanStore, words: str) -> None:
    """Neither a time nor an age: exit 2."""
    assert filled.head_seq()
    assert call("status", "--at", words).code == 2


def test_an_age_may_have_a_sign(call: Call, filled: PlanStore) -> None:
    """-2h and 2h mean the same; nothing had been recorded then."""
    assert filled.head_seq()
    assert call("jobs", "--at", "-2h").code == 4


def test_events_end_where_they_shall(call: Call, filled: PlanStore) -> None:
    """--until prints what was recorded up to a time, that included, and goes on for no one."""
    event, at = moment_between(filled, "PlanAccepted")
    last: datetime = event.at
    expected = [one.seq for one in filled.events(limit=10_000) if one.at <= last]
    lines = call("events", "--until", at, "--json").lines
    assert len(lines) == len(expected)
    assert call("events", "--until", at, "--follow").code == 2
