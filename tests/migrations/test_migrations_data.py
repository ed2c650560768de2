"""Every revision that ever held data comes up to today's tables, its events untouched and its guards on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from store import open_store
from store.database import connect
from store.errors import WriteRefused
from store.events import RouteChosen
from store.layout import COLUMNS, SELECT_EVENT
from store.revision import HEAD, REVISIONS, is_at_head
from store.schema import alembic_url, migrations_dir, upgrade

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
# Revision -> a log that databases of it can hold.
WRITTEN_AT = {
    "r0001": "v0_1",
    "r0002": "v0_2",
    "r0003": "v0_3",
    "r0004": "v0_4",
    "r0005": "v0_5",
    "r0006": "v0_6",
}
BLOBS = ("event_id", "causation_id", "hash")
Row = tuple[Any, ...]


def golden_rows(version: str) -> list[Row]:
    """The rows of a golden log, as the table has them."""
    rows = []
    for line in (GOLDEN / version / "log.ndjson").read_text().splitlines():
        row = json.loads(line)
        for name in BLOBS:
            row[name] = None if row[name] is None else bytes.fromhex(row[name])
        rows.append(tuple(row[name] for name in COLUMNS))
    return rows


def rows_in(url: str) -> list[Row]:
    """The rows of the log at an address, bytes as bytes."""
    database = connect(url, readonly=True)
    with database.snapshot() as tx:
        found = [tuple(row) for row in tx.query(f"{SELECT_EVENT} ORDER BY seq")]
    database.close()
    return found


def brought_to(url: str, revision: str) -> None:
    """Run the migrations of a new database up to a revision, as the version of that time did."""
    settings = Config()
    settings.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    settings.attributes["url"] = alembic_url(url)
    command.upgrade(settings, revision)


def filled(url: str, rows: list[Row]) -> None:
    """Write rows behind the guards of whatever revision the database is at."""
    database = connect(url)
    marks = ", ".join("?" * len(COLUMNS))
    with database.transaction() as tx:
        tx.execute_many(f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({marks})", rows)
    database.close()


def guards_of(url: str) -> list[tuple[str, ...]]:
    """Every trigger on the log with its text, whether it fires always, and the functions of the schema."""
    database = connect(url, readonly=True)
    with database.snapshot() as tx:
        if tx.engine == "sqlite":
            found = tx.query("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
        else:
            found = tx.query(
                "SELECT tgname, pg_get_triggerdef(oid) || CAST(tgenabled AS text) FROM pg_trigger "
                "WHERE tgrelid = 'event'::regclass AND NOT tgisinternal UNION ALL "
                "SELECT proname, pg_get_functiondef(oid) FROM pg_proc "
                "WHERE pronamespace = current_schema()::regnamespace ORDER BY 1, 2"
            )
    database.close()
    return [tuple(re.sub(r"\s+", " ", str(value)) for value in row) for row in found]


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Make a database without any table, of each engine in turn."""

    def made(name: str) -> str:
        if request.param == "sqlite":
            path = tmp_path / f"{name}.db"
            path.touch()
            return f"sqlite:///{path}"
        server: str = request.getfixturevalue("postgres_server")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
        return server.replace("/postgres?", f"/{name}?")

    return made


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_every_revision_comes_up_with_its_data(
    bare: Callable[[str], str], revision: str
) -> None:
    """From each revision, filled: events byte for byte the same, guards those of a new one, all well."""
    url, fresh = bare(f"up_{revision}"), bare("up_fresh")
    rows = golden_rows(WRITTEN_AT[revision])
    brought_to(url, revision)
    filled(url, rows)
    assert upgrade(url) is (revision != HEAD)
    upgrade(fresh)
    assert is_at_head(url)
    assert rows_in(url) == rows
    assert guards_of(url) == guards_of(fresh) != []
    with open_store(url) as store:
        assert store.verify().problems == ()
        assert store.reading.plans()
        store.record("n_after", [RouteChosen(target="y", symbol=None, route="R", reason="r")])
    database = connect(url)
    for sql in ("UPDATE event SET actor = 'm'", "DELETE FROM event WHERE seq = 1"):
        with pytest.raises(WriteRefused, match="append-only"), database.transaction() as tx:
            tx.execute(sql)
    database.close()


def test_every_revision_has_a_log_to_be_tested_with() -> None:
    """Whoever adds a revision says here which recorded log its databases can hold."""
    assert set(WRITTEN_AT) == set(REVISIONS)


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_a_migration_that_fails_leaves_the_database_as_it_was(
    bare: Callable[[str], str], revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the last step of a migration undoes all of it: tables, triggers and the revision."""
    url = bare(f"undone_{revision}")
    brought_to(url, revision)
    filled(url, golden_rows(WRITTEN_AT[revision]))
    before, guards = rows_in(url), guards_of(url)

    class Broken(Exception):
        pass

    def broken(*_: object, **__: object) -> None:
        raise Broken

    with monkeypatch.context() as patch:
        patch.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", broken)
        with pytest.raises(Broken):
            upgrade(url)
    assert (rows_in(url), guards_of(url)) == (before, guards)
    assert not is_at_head(url)
    assert upgrade(url)
    assert rows_in(url) == before
