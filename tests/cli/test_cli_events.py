"""``events``: the log itself, narrowed, since a time, as it grows."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from cli_samples import Call, fill
from store_samples import Clock

from daemon.cli import events
from daemon.cli.events import _seq_before
from daemon.cli.history import meant
from store import PlanStore, open_store


def test_events_are_lines_of_json_in_the_order_of_the_log(call: Call, filled: PlanStore) -> None:
    """Each has at least the fields of the contract; nothing else is on stdout."""
    rows = [json.loads(line) for line in call("events", "--json").lines]
    assert [row["seq"] for row in rows] == list(range(1, filled.head_seq() + 1))
    assert set(rows[0]) >= {"seq", "at", "kind", "plan", "job", "fit", "attempt", "data"}
    assert all(row["at"].endswith("Z") for row in rows)


def test_events_are_narrowed_by_kind_plan_and_place(call: Call, filled: PlanStore) -> None:
    """Each filter holds; `--after` leaves out what was seen."""
    rows = [json.loads(line) for line in call("events", "--json", "--kind", "FitStarted").lines]
    assert {row["kind"] for row in rows} == {"FitStarted"}
    assert len(rows) == 3
    plan = filled.reading.plans()[0].id
    assert all(plan in line for line in call("events", "--json", "--plan", plan).lines)
    assert len(call("events", "--after", str(filled.head_seq() - 2)).lines) == 2


def test_an_unknown_kind_or_plan_is_refused(call: Call, filled: PlanStore) -> None:
    """A misspelt kind would look like an empty log: exit code 2 with the nearest, 4 for a plan."""
    done = call("events", "--kind", "FitStartd")
    assert done.code == 2
    assert "did you mean FitStarted?" in done.err
    assert call("events", "--plan", "p_none").code == 4


def test_since_starts_at_the_first_event_of_that_time(log_here: str, folder: Path) -> None:
    """The place is found by halving: before all, in between, behind all."""
    clock = Clock()
    with open_store(log_here, clock=clock) as store:
        fill(store, folder)
        before = store.head_seq()
        clock.move(3600)
        store.claim("w", stage="cpu")
        reader = store.reading
        assert _seq_before(reader, clock.now - timedelta(days=1)) == 0
        assert _seq_before(reader, clock.now - timedelta(minutes=1)) == before
        assert _seq_before(reader, clock.now + timedelta(days=1)) == store.head_seq()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T03:00:00+02:00", datetime(2026, 1, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_utc(text: str, expected: datetime) -> None:
    """As all times of the log."""
    assert meant(text, "--since") == expected


def test_an_age_counts_from_now_and_nonsense_is_refused(call: Call, filled: PlanStore) -> None:
    """`10m` is ten minutes ago; a word that is no time is a usage error."""
    moment = meant("10m", "--since")
    assert moment is not None
    assert timedelta(minutes=9) < datetime.now(UTC) - moment < timedelta(minutes=11)
    with pytest.raises(click.BadParameter):
        meant("yesterday", "--since")
    assert call("events", "--since", "yesterday").code == 2


def test_following_events_prints_those_that_come_later(
    call: Call, filled: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends it with 130; what came in between was printed once."""
    head = filled.head_seq()
    looks = []

    def while_waiting(_seconds: float) -> None:
        if looks:
            raise KeyboardInterrupt
        looks.append(threading.get_ident())
        filled.claim("w", stage="cpu")

    monkeypatch.setattr(events.time, "sleep", while_waiting)
    done = call("events", "-f", "--json", "--after", str(head))
    assert done.code == 130
    assert [json.loads(line)["kind"] for line in done.lines] == ["FitClaimed"]
    assert "interrupted" in done.err


def test_a_line_for_people_names_job_attempt_and_short_values(call: Call, filled: PlanStore) -> None:
    """Long payloads are left to --json."""
    line = next(line for line in call("events").lines if "FitSucceeded" in line)
    assert "cs_y_range_5d attempt 1  bundle=models/b, seconds=12.5" in line
    assert "metrics" not in line
