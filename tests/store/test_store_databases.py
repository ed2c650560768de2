"""Databases are opened only where they keep their promises, and say so in the store's own errors."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store import DatabaseUnavailable, DatabaseUnsafe, PlanStore, open_store
from store.database import connect, is_sqlite, sqlite_path
from store.errors import DatabaseDamaged
from store.events import RouteChosen
from store.reading import open_reader
from store.revision import HEAD, revision_of
from store.sqlite_database import SqliteDatabase, file_system_of, refuse_network_file_system
from store.verification import _is_wal_reset_fixed

ROUTE = RouteChosen(target="y", symbol=None, route="R", reason="r")
MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /mnt/team\\040data rw,relatime shared:20 - nfs4 server:/x rw
41 22 0:36 / /mnt/team\\040data/local rw - xfs /dev/sdb rw
"""


def test_sqlite_writes_ahead_and_waits_for_the_disk(sqlite_url: str) -> None:
    """WAL, synchronous=FULL, foreign keys and recursive triggers are on in every writing connection."""
    database = connect(sqlite_url)
    names = ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
    with database.snapshot() as tx:
        assert [tx.query(f"PRAGMA {name}")[0][0] for name in names] == ["wal", 2, 1, 1]


def test_a_reader_follows_the_file_that_lies_at_its_place(tmp_path: Path) -> None:
    """A log that went away is told, and the one that comes in its place is read, without a new reader."""
    path, other = tmp_path / "log.db", tmp_path / "other.db"
    for place, events in ((path, 1), (other, 3)):
        with open_store(f"sqlite:///{place}") as store:
            for number in range(events):
                store.pause(host=f"host-{number}")
    with open_reader(f"sqlite:///{path}") as reader:
        before = reader.head_seq()
        path.unlink()
        with pytest.raises(DatabaseUnavailable):
            reader.head_seq()
        other.rename(path)
        assert reader.head_seq() == before + 2


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/x.db", "ext4"),
        ("/mnt/team data/x.db", "nfs4"),
        ("/mnt/team data/local/x.db", "xfs"),
        ("/mnt/x", "ext4"),
    ],
)
def test_the_file_system_of_a_path_is_found(path: str, kind: str) -> None:
    """The longest mount point that holds the path counts."""
    assert file_system_of(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("kind", ["nfs", "cifs", "9p", "ceph", "gpfs", "fuse.sshfs", "fuse.gcsfuse"])
def test_every_kind_of_network_file_system_is_known(kind: str, tmp_path: Path) -> None:
    """Also those behind FUSE and those of clusters; the local ones of the same machine are not meant."""
    mounts = (
        f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n40 22 0:35 / {tmp_path} rw shared:20 - {kind} server:/x rw\n"
    )
    with pytest.raises(DatabaseUnsafe, match=rf"\({kind}\)"):
        refuse_network_file_system("sqlite:///x", tmp_path / "x.db", mounts)
    refuse_network_file_system("sqlite:///x", tmp_path.parent / "x.db", mounts)


def test_network_file_systems_are_refused() -> None:
    """SQLite's WAL is not safe there, and the error offers the two ways out."""
    with pytest.raises(DatabaseUnsafe, match=r"network file system \(nfs4\).*postgresql://"):
        refuse_network_file_system("sqlite:///x", Path("/mnt/team data/x.db"), MOUNTS)
    refuse_network_file_system("sqlite:///x", Path("/mnt/team data/local/x.db"), MOUNTS)


@pytest.mark.parametrize(
    "url", ["mysql://x", "oracle:thing", "sqlite://", "sqlite:///", "sqlite:///:memory:"]
)
def test_unknown_addresses_are_refused(url: str) -> None:
    """A log is in a file, on a Postgres server, or plainly thrown away; nothing else is guessed."""
    with pytest.raises(DatabaseUnsafe, match="sqlite:///PATH"):
        connect(url)


def test_addresses_are_told_apart() -> None:
    """Relative and absolute files, and both spellings of Postgres."""
    assert sqlite_path("sqlite:///a/b.db") == Path("a/b.db")
    assert sqlite_path("sqlite:////a/b.db") == Path("/a/b.db")
    assert not is_sqlite("postgresql://h/d")
    assert not is_sqlite("postgres://h/d")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:se%zzcret@host/db",
        "postgresql://me:secret/word@host/db",
        "postgresql://me:se@cret@host/db",
        "postgresql://me:secret/db",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    """What the driver would quote of it, parts of the password, never reaches a screen or a log."""
    with pytest.raises(DatabaseUnsafe, match="percent-encoded") as found:
        connect(url)
    assert "cret" not in str(found.value)
    assert found.value.__cause__ is None


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without psycopg a Postgres address says what to install, and not the password."""
    monkeypatch.delitem(sys.modules, "store.postgres_database", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseUnsafe, match=r"trainwright\[postgres\]") as found:
        connect("postgresql://me:secret@host/db")
    assert "secret" not in str(found.value)


def test_a_file_that_is_no_database_is_an_error_of_the_store(tmp_path: Path) -> None:
    """Garbage in the file is DatabaseDamaged, with the address and the way out; another try is no help."""
    path = tmp_path / "garbage.db"
    path.write_bytes(b"not a database" * 100)
    for readonly in (False, True):
        with pytest.raises(DatabaseDamaged, match=r"garbage\.db.*trainwright db restore"):
            revision_of(connect(f"sqlite:///{path}", readonly=readonly))


def test_a_connection_that_cannot_be_prepared_is_closed(tmp_path: Path) -> None:
    """A file that refuses its settings leaves no descriptor open, as long as its error is kept."""
    path = tmp_path / "x.db"
    path.write_bytes(b"this is no database at all, whatever its name says" * 100)
    with pytest.raises(DatabaseDamaged) as kept:
        PlanStore(connect(f"sqlite:///{path}")).head_seq()
    open_files = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert kept.value.__cause__ is not None
    assert path not in open_files


def test_a_file_with_a_torn_page_is_an_error_of_the_store(sqlite_url: str) -> None:
    """A page that was overwritten in the middle of the log is damage too, once it is read."""
    with PlanStore(connect(sqlite_url)) as store:
        store.record("n_1", [ROUTE] * 200)
    path = sqlite_path(sqlite_url)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    with pytest.raises(DatabaseDamaged, match="malformed"):
        PlanStore(connect(sqlite_url)).events()
    assert "damaged" in PlanStore(connect(sqlite_url)).verify().problems[0]


def test_a_database_locked_for_too_long_is_unavailable(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that cannot get its turn says so instead of waiting for ever."""
    monkeypatch.setattr("store.sqlite_database.BUSY_SECONDS", 0.01)
    holder = sqlite3.connect(sqlite_path(sqlite_url), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="locked"):
        PlanStore(connect(sqlite_url)).record("n_1", [ROUTE])
    holder.execute("ROLLBACK")
    PlanStore(connect(sqlite_url)).record("n_1", [ROUTE])
    holder.close()


def test_threads_have_their_own_connections(sqlite_url: str) -> None:
    """One store serves many threads at once."""
    plan_store = PlanStore(SqliteDatabase(sqlite_url))
    errors: list[BaseException] = []

    def write(name: str) -> None:
        try:
            for _ in range(10):
                plan_store.record(name, [ROUTE])
        except BaseException as error:  # noqa: BLE001 - the main thread must see whatever it was
            errors.append(error)
        finally:
            plan_store.close()

    threads = [threading.Thread(target=write, args=(f"n_{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert plan_store.head_seq() == 40


def test_a_broken_connection_to_postgres_is_replaced(postgres_url: str) -> None:
    """After the server cut the connection one call fails, says so, and the next one works."""
    plan_store = PlanStore(connect(postgres_url))
    plan_store.record("n_1", [ROUTE])
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trainwright'"
        )
    with pytest.raises(DatabaseUnavailable, match="Try again"):
        plan_store.record("n_1", [ROUTE])
    assert plan_store.record("n_1", [ROUTE]) == (2,)
    plan_store.close()


def test_a_connection_left_in_the_middle_of_an_exchange_is_replaced(postgres_url: str) -> None:
    """The driver does not call such a connection broken, yet nothing can be asked over it any more."""
    plan_store = PlanStore(connect(postgres_url))

    def interrupted() -> None:
        with plan_store._database.transaction() as tx:
            tx.query("SELECT 1")
            tx._connection.pgconn.send_query(b"SELECT 2")

    with pytest.raises(DatabaseUnavailable):
        interrupted()
    assert plan_store.record("n_1", [ROUTE]) == (1,)
    plan_store.close()


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_a_server_that_forgets_at_a_power_cut_is_refused(postgres_url: str, name: str) -> None:
    """A writer does not work there, and is told what to set; a reader may look."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        try:
            switch(server, name, "off")
            with pytest.raises(DatabaseUnsafe, match=rf"{name} is off there.*ALTER SYSTEM SET {name} = on"):
                PlanStore(connect(postgres_url)).record("n_1", [ROUTE])
            assert revision_of(connect(postgres_url, readonly=True)) == HEAD
        finally:
            switch(server, name, "on")
    assert PlanStore(connect(postgres_url)).record("n_1", [ROUTE]) == (1,)


def switch(server: psycopg.Connection[Any], name: str, value: str) -> None:
    """Set a setting of the whole server, and wait until it is so for whoever connects now."""
    server.execute(f"ALTER SYSTEM SET {name} = {value}".encode())
    server.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 60
    while server.execute(f"SHOW {name}".encode()).fetchone() != (value,):
        assert time.monotonic() < deadline, f"{name} did not become {value}"


def test_a_session_is_durable_whatever_its_role_says(postgres_url: str) -> None:
    """A role, database or address that asks for asynchronous commits does not get them."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        name = server.info.dbname
        server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    with connect(postgres_url + "&options=-csynchronous_commit%3Doff").transaction() as tx:
        assert tx.query("SELECT current_setting('synchronous_commit')") == [("on",)]


def test_a_role_without_the_right_is_told_so(postgres_url: str) -> None:
    """What the server's rights forbid is no reason to try again."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(b"DROP ROLE IF EXISTS tw_nobody")
        server.execute(b"CREATE ROLE tw_nobody LOGIN")
    nobody = postgres_url.replace("postgres@", "tw_nobody@")
    with pytest.raises(DatabaseUnsafe, match="its role may not do this: permission denied"):
        PlanStore(connect(nobody)).head_seq()
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(b"DROP ROLE tw_nobody")


def test_a_postgres_that_does_not_answer_is_an_error_of_the_store(tmp_path: Path) -> None:
    """A wrong socket is DatabaseUnavailable, not a traceback of the driver."""
    with pytest.raises(DatabaseUnavailable), connect(f"postgresql://x@/x?host={tmp_path}").snapshot():
        pass


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ("3.40.1", False),
        ("3.44.5", False),
        ("3.51.2", False),
        ("3.44.6", True),
        ("3.50.7", True),
        ("3.54.0", True),
    ],
)
def test_the_wal_reset_bug_is_known_by_version(version: str, *, fixed: bool) -> None:
    """Versions with the fix, in their own branch or newer, give no warning."""
    assert _is_wal_reset_fixed(version) is fixed
