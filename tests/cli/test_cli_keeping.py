"""``db backup|restore|seal|export|import|archive|retain``: the log is kept, and comes back."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from cli_samples import Call
from store_samples import STARTED, SUCCEEDED, cs_job, plan_of

from daemon.lock import held_lock
from store import PlanStore
from store.database import connect
from store.guards import lifted
from store.seals import read_seals

SEALS = Path("results/seals/trainwright.jsonl")


@pytest.fixture
def done(store: PlanStore) -> str:
    """A finished plan in the folder's log, whose store is closed; its id."""
    plan = plan_of(cs_job("y_a", families=("LightGBM",)))
    store.accept(plan, source="test", name="first")
    claim = store.claim("w", stage="cpu")[0]
    store.started(claim, STARTED)
    store.succeeded(claim, SUCCEEDED)
    store.close()
    return plan.id


def head(store: PlanStore) -> int:
    """The last seq, asked by a connection that is closed again."""
    seq = store.head_seq()
    store.close()
    return seq


def test_only_the_newest_backups_are_kept(call: Call, done: str) -> None:
    """`--keep 2` leaves the new one and the newest before it; what is named otherwise is nobody's backup."""
    folder = Path("results/backups").absolute()
    folder.mkdir()
    older = [folder / f"trainwright-2025010{day}T030405Z.db" for day in (1, 2, 3)]
    others = [folder / "trainwright-monday.db", folder / "other-20250101T030405Z.db", folder / "notes.txt"]
    for path in (*older, *others):
        path.write_text("kept or not")
    made = call("db", "backup", "--keep", "2")
    assert made.code == 0
    assert sorted(folder.iterdir()) == sorted([Path(made.lines[0]), older[-1], *others])
    assert [line.split()[-1] for line in made.err.splitlines() if line.startswith("removed")] == [
        str(path) for path in older[:-1]
    ]


def test_a_backup_is_kept_that_is_older_than_all_others(call: Call, done: str) -> None:
    """A clock that was set back does not make `--keep 1` remove what was just made."""
    folder = Path("results/backups").absolute()
    folder.mkdir()
    (folder / "trainwright-29990101T000000Z.db").write_text("of a wrong clock")
    made = call("db", "backup", "--keep", "1")
    assert [path.name for path in folder.iterdir()] == [Path(made.lines[0]).name]


def test_keep_counts_nothing_beside_a_file_of_ones_own(call: Call, done: str) -> None:
    """Where a backup is given its own name nothing else is removed."""
    assert call("db", "backup", "mine.db", "--keep", "1").code == 2
    assert not Path("mine.db").exists()


def test_a_backup_comes_back(call: Call, store: PlanStore, done: str) -> None:
    """Backup names the file and its head; the log goes on; restore asks for force and brings it back."""
    made = call("db", "backup")
    assert made.code == 0
    path = Path(made.lines[0])
    assert path.parent.name == "backups"
    assert made.lines[1].startswith("6 events, ")
    assert "all well" in made.lines[1]
    assert made.lines[2].startswith("head  event 6, hash ")
    store.accept(plan_of(cs_job("y_b")), source="test", name="second")
    after = head(store)
    refused = call("db", "restore", str(path))
    assert refused.code == 3
    assert f"a log is there already, and it goes up to event {after}" in refused.err
    assert "--force" in refused.err
    back = call("db", "restore", str(path), "--force")
    assert back.code == 0
    assert back.lines[0].startswith("restored 6 events, up to event 6, hash ")
    assert ".before-restore-" in back.lines[1]
    assert f"{after - 6} events more" in back.err
    assert call("db", "verify").out == "6 events: all well\n"


def test_a_backup_as_a_document(call: Call, done: str) -> None:
    """--json carries path, events, head and sizes; a second backup to the same name is an error of usage."""
    document = call("db", "backup", "here.db", "--json").document
    assert (document["path"], document["events"], document["head_seq"]) == ("here.db", 6, 6)
    assert len(document["head_hash"]) == 64
    again = call("db", "backup", "here.db")
    assert again.code == 2
    assert "the file is there already" in again.err


def test_no_restore_beside_a_daemon(call: Call, done: str, folder: Path) -> None:
    """While a daemon works in the results directory the restore is put off, and says by whom."""
    call("db", "backup", "here.db")
    with held_lock(folder / "results" / "daemon.lock", "pid 7 on alpha"):
        refused = call("db", "restore", "here.db", "--force")
    assert refused.code == 75
    assert "pid 7 on alpha" in refused.err
    assert call("db", "restore", "none.db").code == 4


def test_a_log_is_sealed_once(call: Call, done: str) -> None:
    """Seal names the segment and the file; again there is nothing to do; verify holds the log against it."""
    first = call("db", "seal")
    assert first.lines[0].startswith("sealed events 1 to 6  ")
    assert first.lines[1].endswith(str(SEALS))
    assert call("db", "seal").out.startswith("sealed already: ")
    assert call("db", "seal", "--json").document["seals"] == []
    checked = call("db", "verify")
    assert "held against 1 seal, the last of event 6" in checked.err
    assert call("db", "verify", "--json").document["seals"]["count"] == 1


def test_an_end_that_was_cut_off_is_named_with_the_next_step(call: Call, done: str, log_here: str) -> None:
    """Verify exits with 3, says which events are missing, and what to do."""
    call("db", "seal")
    database = connect(log_here)
    with database.transaction() as tx, lifted(tx, "event_no_delete"):
        tx.execute("DELETE FROM event WHERE seq = 6")
        tx.execute("DELETE FROM seal")
    database.close()
    call("db", "rebuild")
    found = call("db", "verify")
    assert found.code == 3
    assert "event 6: it and all up to 6 are missing at the end" in found.err
    assert "trainwright db restore FILE --force" in found.err


def test_a_log_goes_out_and_comes_in_elsewhere(call: Call, done: str, folder: Path) -> None:
    """Export and import keep the head's hash; a log with events takes no import."""
    out = call("db", "export", "log.jsonl.gz")
    assert out.lines[0].startswith("exported 6 events, ")
    into = call("db", "import", "log.jsonl.gz", "--results-dir", "other")
    assert into.code == 0
    assert into.lines[1] == out.lines[1]
    assert call("db", "verify", "--results-dir", "other").out == "6 events: all well\n"
    assert len(read_seals(folder / "other" / "seals" / "trainwright.jsonl")) == 1
    refused = call("db", "import", "log.jsonl.gz")
    assert refused.code == 3
    assert "has events already" in refused.err


def test_an_import_that_does_not_fit_names_the_row(call: Call, done: str, folder: Path) -> None:
    """The first bad event and its place are said; the new log stays empty."""
    call("db", "export", "log.jsonl")
    text = Path("log.jsonl").read_text().replace("LightGBM", "XGBoost", 1)
    Path("log.jsonl").write_text(text)
    refused = call("db", "import", "log.jsonl", "--results-dir", "other")
    assert refused.code == 3
    assert "its hash does not follow" in refused.err
    assert call("db", "verify", "--results-dir", "other").out == "0 events: all well\n"


def test_plans_are_archived_and_listed(call: Call, done: str) -> None:
    """Archive writes one file a plan, once; the list holds each against its hash."""
    assert call("db", "archive").code == 2
    assert call("db", "archive", "--older-than", "soon").code == 2
    assert call("db", "archive", "--list").out.startswith("no archives")
    assert call("db", "archive", "--older-than", "30d").out == "no plan matches\n"
    first = call("db", "archive", "--plan", done)
    assert done in first.out
    assert "written" in first.out
    assert "there already" in call("db", "archive", "--older-than", "0m").out
    assert "kept" in call("db", "archive", "--list").out
    document = call("db", "archive", "--list", "--json").document
    assert [one["plan"] for one in document["archives"]] == [done]
    Path(document["archives"][0]["path"]).unlink()
    missing = call("db", "archive", "--list")
    assert (missing.code, "missing" in missing.out) == (3, True)
    assert call("db", "archive", "--plan", "p_none").code == 4


def test_old_events_are_retired(call: Call, store: PlanStore, done: str) -> None:
    """A dry run says what would go and what holds the rest; then it goes, and the log is sound."""
    assert call("db", "retain").code == 2
    held = call("db", "retain", "--older-than", "0m", "--dry-run")
    assert held.out == "no event can go\n"
    assert f"held  event 1 stays: plan {done} is not archived" in held.err
    call("db", "archive", "--plan", done)
    would = call("db", "retain", "--older-than", "0m", "--dry-run")
    assert would.out == "6 events would go: 1 to 6, with 1 plan\n"
    assert head(store) == 7
    gone = call("db", "retain", "--older-than", "0m")
    assert gone.out == "6 events are gone: 1 to 6, with 1 plan\n"
    assert "held  event 7 stays: the last event always stays" in gone.err
    assert call("db", "verify").out == "1 events: all well\n"
    assert call("db", "retain", "--older-than", "0m", "--json").document["events"] == 0
    assert "retired" in call("db", "archive", "--list").out


def test_a_damaged_file_is_said_with_the_way_out(call: Call, done: str, folder: Path) -> None:
    """A file that is no database any more is exit code 3 and a next step, not another try."""
    call("db", "backup", "here.db")
    path = folder / "results" / "trainwright.db"
    whole = path.read_bytes()
    path.write_bytes(b"garbage" * 1000)
    for words in (("db", "verify"), ("db", "info"), ("status",), ("db", "backup")):
        found = call(*words)
        assert found.code == 3, words
        assert "the file of the event log is damaged" in found.err
        assert "trainwright db restore FILE --force" in found.err
        assert len(found.err.splitlines()) <= 6
    assert call("db", "restore", "here.db", "--force").code == 0
    assert call("db", "verify").out == "6 events: all well\n"
    path.write_bytes(whole[:4096] + bytes(byte ^ 0x5A for byte in whole[4096:]))
    assert call("db", "verify").code == 3


def test_each_command_has_its_document(call: Call, done: str) -> None:
    """Every command of keeping speaks JSON with a version."""
    for words in (
        ("backup",),
        ("seal",),
        ("export", "a.jsonl"),
        ("import", "a.jsonl", "--results-dir", "other"),
        ("archive", "--plan", done),
        ("retain", "--older-than", "1w", "--dry-run"),
    ):
        answer = call("db", *words, "--json")
        assert answer.code == 0, words
        assert json.loads(answer.out)["v"] == 1


def test_without_a_log_nothing_is_kept(call: Call, folder: Path) -> None:
    """Commands that need a log exit with 4 and leave nothing behind."""
    for words in (
        ("backup",),
        ("seal",),
        ("export", "x"),
        ("archive", "--list"),
        ("retain", "--older-than", "1d"),
    ):
        assert call("db", *words).code == 4, words
    assert list(folder.iterdir()) == []


def test_a_log_in_use_elsewhere_is_not_replaced(call: Call, done: str, folder: Path) -> None:
    """Another process with the file open is exit code 75, and the log is untouched."""
    call("db", "backup", "here.db")
    other = sqlite3.connect(folder / "results" / "trainwright.db")
    other.execute("SELECT COUNT(*) FROM event").fetchall()
    refused = call("db", "restore", "here.db", "--force")
    other.close()
    assert refused.code == 75
    assert "another process has the event log open" in refused.err
