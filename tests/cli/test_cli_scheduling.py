"""``trainwright schedule``: every entry with its next time and how its last run ended."""

from __future__ import annotations

import json
from pathlib import Path

from cli_samples import Call

TEXT = """[daemon]
time_zone = "Europe/Berlin"

[daemon.schedule.safe]
cron = "30 2 29 2 *"
do = "backup"

[daemon.schedule.anew]
cron = "0 1 29 2 *"
do = "plan"

[daemon.schedule.check]
cron = "0 3 29 2 *"
do = "verify"
"""
STATE = {
    "safe": {"due_at": "2024-02-29T01:30:00+00:00", "began_at": "2024-02-29T01:30:01+00:00", "ended_at": "x"},
    "anew": {
        "due_at": "2024-02-29T00:00:00+00:00",
        "began_at": "2024-02-29T00:00:00+00:00",
        "ended_at": "x",
        "problem": "plan rejected: the plan is empty",
    },
}


def scheduled(folder: Path) -> None:
    """A configuration with three entries, two of which have run."""
    (folder / "trainwright.toml").write_text(TEXT)
    (folder / "results" / "schedule").mkdir(parents=True)
    (folder / "results" / "schedule" / "state.json").write_text(json.dumps(STATE))


def test_every_entry_has_its_next_time_and_its_last_outcome(call: Call, folder: Path) -> None:
    """In the zone of the settings; a failure with its sentence."""
    scheduled(folder)
    lines = call("schedule").lines
    assert lines[0].split() == ["name", "do", "cron", "next", "last", "outcome"]
    assert lines[1].endswith("02-29 02:30  2024-02-29 02:30  done")
    assert lines[2].endswith("2024-02-29 01:00  failed: plan rejected: the plan is …")
    assert lines[3].split()[-2:] == ["-", "-"]
    assert max(map(len, lines)) <= 100


def test_the_document_has_the_whole_of_it(call: Call, folder: Path) -> None:
    """Times in UTC, the problem uncut, nothing for what has not run."""
    scheduled(folder)
    safe, anew, check = call("schedule", "--json").document["schedule"]
    assert (safe["next"][4:], safe["last"], safe["outcome"]) == (
        "-02-29T01:30:00Z",
        "2024-02-29T01:30:01Z",
        "done",
    )
    assert (anew["outcome"], anew["problem"]) == ("failed", "plan rejected: the plan is empty")
    assert (check["last"], check["outcome"], check["problem"]) == (None, None, None)


def test_where_nothing_is_scheduled_it_is_said_how(call: Call, folder: Path) -> None:
    """With an entry to copy."""
    assert "[daemon.schedule.NAME]" in call("schedule").lines[0]
    assert call("schedule", "--json").document["schedule"] == []
