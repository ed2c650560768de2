"""``db``: the event log and its tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from cli_samples import Call

from store import PlanStore


def test_a_sound_log_is_verified_and_counted(call: Call, filled: PlanStore) -> None:
    """All well is exit code 0, in words and as a document."""
    assert call("db", "verify").out == f"{filled.head_seq():,} events: all well\n"
    assert call("db", "verify", "--json").document["ok"] is True


def test_a_table_that_differs_from_the_log_is_found_and_rebuilt(
    call: Call, filled: PlanStore, folder: Path
) -> None:
    """Verify exits with 3 and names the command; after rebuild all is well."""
    with sqlite3.connect(folder / "results" / "trainwright.db") as connection:
        connection.execute("UPDATE fit SET state = 'succeeded' WHERE state = 'failed'")
    connection.close()
    done = call("db", "verify")
    assert done.code == 3
    assert "problem: " in done.err
    assert "trainwright db rebuild" in done.err
    assert f"rebuilt from {filled.head_seq():,} events" in call("db", "rebuild").out
    assert call("db", "verify").code == 0


def test_info_says_what_the_database_is(call: Call, filled: PlanStore) -> None:
    """Engine, schema and counts; the document has the same."""
    assert "plans 1, fits 5" in call("db", "info").out
    document = call("db", "info", "--json").document
    assert (document["engine"], document["plans"], document["fits"]) == ("sqlite", 1, 5)


def test_without_a_log_nothing_is_made_by_asking(call: Call, folder: Path) -> None:
    """Verify, rebuild and info exit with 4 and leave no file."""
    assert [call("db", word).code for word in ("verify", "rebuild", "info")] == [4, 4, 4]
    assert not (folder / "results").exists()


def test_upgrade_makes_the_tables(call: Call, folder: Path) -> None:
    """A new place gets the newest schema, and a second call changes nothing."""
    first, second = call("db", "upgrade"), call("db", "upgrade")
    assert first.code == second.code == 0
    assert first.out == second.out
    assert call("status").code == 0
