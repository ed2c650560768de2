"""Backups are made while others write, are checked, and take the log's place only when they are sound."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import psycopg
import pytest
from keeping_samples import ROUTE, cut_tail, finished, forge, history, opened, rows_of, unguarded
from store_samples import Clock, projected_rows

from store import PlanStore, open_store
from store.backup import Backup, back_up, backup_path
from store.database import connect, sqlite_path
from store.errors import DatabaseUnavailable, KeepingRefused, LogDamaged
from store.postgres_restoring import in_schema
from store.restoring import Restored, restore
from store.seals import read_seals, seal_log
from store.transfer import export_log
from store.verification import verify

DURABLE = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


@pytest.fixture
def lived(database_url: str, clock: Clock) -> str:
    """A database with a history, and nobody who has it open."""
    with open_store(database_url, clock=clock) as store:
        history(store, clock)
    return database_url


def saved(url: str, place: Path, *, seals: Path | None = None) -> Backup:
    """A backup under a fresh name, of the kind the engine makes."""
    suffix = ".db" if url.startswith("sqlite") else ".jsonl.gz"
    return back_up(url, place / f"backup-{len(list(place.iterdir()))}{suffix}", seals=seals)


def grown(url: str, clock: Clock) -> list[tuple[object, ...]]:
    """Let the log go on, and return its rows."""
    with open_store(url, clock=clock) as store:
        finished(store, "y7")
    return rows_of(url)


def content(url: str) -> tuple[object, ...]:
    """The log and every projection."""
    with opened(url) as database:
        return rows_of(url), projected_rows(database)


def write_for_ever(url: str, pipe: int) -> None:
    """Append events and tell each seq through the pipe once it was acknowledged."""
    store = PlanStore(connect(url))
    while True:
        os.write(pipe, b"%d\n" % store.record("n_w", [ROUTE])[0])


@DURABLE
def test_a_backup_is_made_while_a_writer_works_and_holds_all_it_was_told(lived: str, place: Path) -> None:
    """Each of five copies is sound, and holds every event that was acknowledged before it was begun."""
    reading_end, writing_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            write_for_ever(lived, writing_end)
        finally:
            os._exit(1)
    heads = []
    with os.fdopen(reading_end, "rb") as told:
        for _ in range(5):
            acknowledged = [int(told.readline()) for _ in range(5)][-1]
            made = saved(lived, place)
            assert made.head_seq >= acknowledged
            heads.append(made.head_seq)
            while int(told.readline()) <= made.head_seq:  # told before the copy, read only now
                pass
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert heads == sorted(set(heads)), "the writer went on between the copies"
    fresh = f"sqlite:///{place}/fresh/trainwright.db"
    done = restore(fresh, made.path)
    assert (done.head_seq, done.head_hash, done.kept_aside) == (made.head_seq, made.head_hash, None)
    assert rows_of(fresh) == rows_of(lived)[: made.events]
    with opened(fresh) as database:
        assert verify(database).problems == ()


@DURABLE
def test_a_restore_brings_back_what_was_and_keeps_what_is(lived: str, place: Path, clock: Clock) -> None:
    """Without force a log with events stays; with it the backup is the log, and the one before lies aside."""
    before = content(lived)
    made = saved(lived, place)
    after = grown(lived, clock)
    with pytest.raises(KeepingRefused, match=f"it goes up to event {len(after)}"):
        restore(lived, made.path)
    assert rows_of(lived) == after
    done = restore(lived, made.path, force=True)
    assert (done.events, done.lost_events) == (made.events, len(after) - made.events)
    assert content(lived) == before
    assert rows_of(kept(lived, done)) == after
    with open_store(lived, clock=clock) as store:
        assert store.verify().problems == ()
        finished(store, "y8")
        assert store.verify().problems == ()


def kept(url: str, done: Restored) -> str:
    """The address of the log that was kept aside."""
    assert done.kept_aside is not None
    if url.startswith("sqlite"):
        return f"sqlite:///{done.kept_aside}"
    return in_schema(url, done.kept_aside.removeprefix("schema "))


@DURABLE
def test_an_empty_log_needs_no_force_and_leaves_nothing_aside(lived: str, place: Path, clock: Clock) -> None:
    """Tables without events are simply replaced."""
    made = saved(lived, place)
    with unguarded(lived) as tx:
        tx.execute("DELETE FROM event")
    assert restore(lived, made.path).events == made.events
    if lived.startswith("postgresql"):
        with psycopg.connect(lived) as connection:
            found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%restore%'")
            assert found.fetchall() == []


@DURABLE
def test_a_log_that_is_open_elsewhere_is_not_replaced(lived: str, place: Path, clock: Clock) -> None:
    """A process that has the log open would go on writing into the old one: the restore waits for nobody."""
    made = saved(lived, place)
    before = rows_of(lived)
    with open_store(lived, clock=clock) as other:
        other.head_seq()
        with pytest.raises(KeepingRefused, match=r"has the event log open|other connections"):
            restore(lived, made.path, force=True)
    assert rows_of(lived) == before
    assert sorted(path.name for path in place.iterdir()) == [made.path.name]
    restore(lived, made.path, force=True)


@DURABLE
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_backup_changes_nothing(lived: str, place: Path, damage: str) -> None:
    """A backup that was cut, changed, or is none is refused with a sentence; the log is what it was."""
    made = saved(lived, place)
    whole = made.path.read_bytes()
    middle = whole.find(b"FitClaimed")  # some bytes of a SQLite file belong to nothing
    middle = len(whole) // 2 if middle < 0 else middle
    made.path.write_bytes(
        {
            "cut": whole[:middle],
            "flipped": whole[:middle]
            + bytes(byte ^ 0xFF for byte in whole[middle : middle + 64])
            + whole[middle + 64 :],
            "empty": b"",
            "foreign": b"hello\n",
        }[damage]
    )
    before = content(lived)
    with pytest.raises((KeepingRefused, LogDamaged, DatabaseUnavailable)):
        restore(lived, made.path, force=True)
    assert content(lived) == before
    if lived.startswith("sqlite"):
        folder = sqlite_path(lived).parent
        assert [path.name for path in folder.iterdir() if "restor" in path.name] == []


def test_a_backup_that_is_not_there_is_named(sqlite_url: str, tmp_path: Path) -> None:
    """A wrong name is exit code 4."""
    with pytest.raises(KeepingRefused, match="no such file") as found:
        restore(sqlite_url, tmp_path / "none.db")
    assert found.value.exit_code == 4


@DURABLE
def test_the_seals_follow_a_restore(lived: str, place: Path, clock: Clock, tmp_path: Path) -> None:
    """Seals of events the backup lacks are kept aside; what is left agrees, and later segments are sealed."""
    seals = tmp_path / "seals.jsonl"
    seal_log(lived, seals, to_head=True)
    made = saved(lived, place, seals=seals)
    grown(lived, clock)
    seal_log(lived, seals, to_head=True)
    count = len(read_seals(seals))
    restore(lived, made.path, force=True, seals=seals)
    assert len(read_seals(seals)) < count
    assert len(list(tmp_path.glob("seals.jsonl.before-restore-*"))) == 1
    with opened(lived) as database:
        assert verify(database, outside=read_seals(seals)).problems == ()


@DURABLE
def test_a_backup_with_another_history_than_the_seals_is_refused(
    lived: str, place: Path, tmp_path: Path
) -> None:
    """A backup that somebody computed anew verifies by itself; the seals outside refuse it."""
    seals = tmp_path / "seals.jsonl"
    seal_log(lived, seals, every=5)
    copy = f"sqlite:///{place}/copy.db"
    restore(copy, saved(lived, place).path)
    forge(copy, 8)
    with unguarded(copy) as tx:
        tx.execute("DELETE FROM seal")
    with opened(copy) as database:
        assert verify(database).ok
        forged = export_log(database, place / "forged.jsonl").path
    with pytest.raises(KeepingRefused, match="the history was rewritten"):
        restore(lived, forged, force=True, seals=seals)


@DURABLE
def test_a_log_that_does_not_verify_is_not_backed_up(lived: str, place: Path) -> None:
    """A copy of a damaged log is no backup: it is refused with the first bad row, and no file is left."""
    with unguarded(lived) as tx:
        tx.execute("UPDATE event SET actor = 'mallory' WHERE seq = 4")
    with pytest.raises((KeepingRefused, LogDamaged), match="event 4"):
        saved(lived, place)
    assert list(place.iterdir()) == []


@DURABLE
def test_a_cut_log_is_not_backed_up_over_its_seals(lived: str, place: Path, tmp_path: Path) -> None:
    """The copy is held against the seals outside as well."""
    seals = tmp_path / "seals.jsonl"
    last = seal_log(lived, seals, to_head=True)[-1].last_seq
    cut_tail(lived, last - 1)
    with unguarded(lived) as tx:
        tx.execute("DELETE FROM seal")
    with open_store(lived) as store:
        store.rebuild()
    with pytest.raises(KeepingRefused, match="missing at the end"):
        saved(lived, place, seals=seals)


def test_a_backup_never_replaces_a_file(sqlite_url: str, tmp_path: Path) -> None:
    """A name that is taken is an error of usage."""
    (tmp_path / "mine.db").write_text("mine")
    with pytest.raises(KeepingRefused, match="there already") as found:
        back_up(sqlite_url, tmp_path / "mine.db")
    assert found.value.exit_code == 2
    assert (tmp_path / "mine.db").read_text() == "mine"


def test_a_backup_of_sqlite_is_one_file_with_the_rights_of_the_log(sqlite_url: str, place: Path) -> None:
    """No log of writes lies beside it, and who could not read the log cannot read the backup."""
    sqlite_path(sqlite_url).chmod(0o600)
    made = saved(sqlite_url, place)
    assert [path.name for path in place.iterdir()] == [made.path.name]
    assert made.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("with_wal", [False, True])
def test_a_damaged_log_is_replaced_and_kept(
    sqlite_url: str, place: Path, clock: Clock, *, with_wal: bool
) -> None:
    """What cannot be read is kept aside with its write-ahead log, which never mixes with the fresh file."""
    with open_store(sqlite_url, clock=clock) as store:
        history(store, clock)
    made, before, path = saved(sqlite_url, place), rows_of(sqlite_url), sqlite_path(sqlite_url)
    path.write_bytes(b"not a database" * 500)
    if with_wal:
        path.with_name(path.name + "-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(4096))
    with pytest.raises(KeepingRefused, match="cannot be read"):
        restore(sqlite_url, made.path)
    done = restore(sqlite_url, made.path, force=True)
    assert rows_of(sqlite_url) == before
    assert done.kept_aside is not None
    assert Path(done.kept_aside).read_bytes().startswith(b"not a database")
    assert Path(done.kept_aside + "-wal").exists() is with_wal


@DURABLE
def test_either_engine_restores_what_the_other_exported(lived: str, place: Path, sqlite_url: str) -> None:
    """A transfer file is a backup for both engines."""
    with opened(lived) as database:
        path = export_log(database, place / "log.jsonl.gz").path
    restore(f"sqlite:///{place}/other.db", path)
    assert content(f"sqlite:///{place}/other.db") == content(lived)


def test_postgres_says_what_to_do_with_a_backup_of_sqlite(
    sqlite_url: str, postgres_url: str, place: Path
) -> None:
    """The file is known for what it is, and the way is named."""
    with pytest.raises(KeepingRefused, match=r"backup of a SQLite database.*trainwright db export"):
        restore(postgres_url, saved(sqlite_url, place).path)


def test_a_sqlite_file_of_somebody_else_is_no_backup(sqlite_url: str, tmp_path: Path) -> None:
    """A database without our tables does not take the log's place."""
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(Exception, match="without the tables of Trainwright"):
        restore(sqlite_url, tmp_path / "other.db")


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("postgresql://h/d", "postgresql://h/d?options=-csearch_path%3Dx"),
        ("postgresql:///d?host=/run", "postgresql:///d?host=/run&options=-csearch_path%3Dx"),
        (
            "postgresql://h/d?options=-cwork_mem%3D1MB&user=me",
            "postgresql://h/d?options=-cwork_mem%3D1MB%20-csearch_path%3Dx&user=me",
        ),
    ],
)
def test_the_address_of_a_schema_keeps_its_other_options(address: str, wanted: str) -> None:
    """The schema is one option more."""
    assert in_schema(address, "x") == wanted


def test_backups_go_beside_the_results_when_nobody_says(clock: Clock) -> None:
    """The name has the database and the time; no password can be in it."""
    assert backup_path("sqlite:////r/trainwright.db", Path("r"), clock()) == Path(
        "r/backups/trainwright-20260102T030405Z.db"
    )
    assert backup_path("postgresql://me:secret@h/fits", Path("r"), clock()) == Path(
        "r/backups/fits-20260102T030405Z.jsonl.gz"
    )
