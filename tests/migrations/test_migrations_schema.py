"""The migrations lead to the declared tables, on both engines, once, whoever runs them."""

from __future__ import annotations

import multiprocessing
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

from store import DatabaseUnsafe, SchemaBehind, open_reader, open_store
from store.database import connect, sqlite_path
from store.revision import HEAD, REVISIONS, is_at_head
from store.schema import alembic_url, migrations_dir, upgrade
from store.tables import METADATA, TABLES


def described(url: str) -> dict[str, Any]:
    """Columns, types, nullability, keys, uniques, checks and indexes of every table of ours."""
    engine = sa.create_engine(alembic_url(url), poolclass=sa.pool.NullPool)
    found: dict[str, Any] = {}
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        for name in inspector.get_table_names():
            if name == "alembic_version":
                continue
            found[name] = {
                "columns": [
                    (column["name"], str(column["type"]), column["nullable"])
                    for column in inspector.get_columns(name)
                ],
                "key": inspector.get_pk_constraint(name)["constrained_columns"],
                "uniques": sorted(
                    (one["name"], one["column_names"]) for one in inspector.get_unique_constraints(name)
                ),
                "checks": sorted(
                    (one["name"], one["sqltext"]) for one in inspector.get_check_constraints(name)
                ),
            }
        if url.startswith("sqlite"):
            texts = "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'table') AND sql IS NOT NULL"
        else:
            texts = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        for name, text in connection.execute(sa.text(texts)):
            if "alembic" not in name:
                found[f"sql of {name}"] = re.sub(r"\s+", " ", text)
    engine.dispose()
    return found


@pytest.fixture
def declared_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> str:
    """A database of the same engine whose tables SQLModel made."""
    if database_url.startswith("sqlite"):
        url = f"sqlite:///{tmp_path}/declared.db"
    else:
        server, name = request.getfixturevalue("postgres_server"), f"declared_{os.getpid()}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        url = server.replace("/postgres?", f"/{name}?")
    engine = sa.create_engine(alembic_url(url), poolclass=sa.pool.NullPool)
    METADATA.create_all(engine)
    engine.dispose()
    return url


def test_the_migrations_lead_to_the_declared_tables(database_url: str, declared_url: str) -> None:
    """Every column, type, unique, check and index is the one that tables.py declares, and nothing more."""
    assert described(database_url) == described(declared_url)


def test_every_declared_table_is_one_of_ours() -> None:
    """The metadata holds the thirteen tables of the store and no other."""
    names = {str(table.__tablename__) for table in TABLES}
    assert set(SQLModel.metadata.tables) == names
    assert len(names) == 13


def test_tables_of_sqlite_are_strict(sqlite_url: str) -> None:
    """A text in an integer column is refused by the engine."""
    with (
        sqlite3.connect(sqlite_path(sqlite_url)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="INTEGER"),
    ):
        connection.execute("INSERT INTO lease VALUES ('f', 'one', 'w', 1, 1)")
    connection.close()


def test_the_newest_migration_is_the_one_the_store_asks_for() -> None:
    """The light constant and the folder of migrations agree, in one line without branches."""
    settings = Config()
    settings.set_main_option("script_location", str(migrations_dir()))
    script = ScriptDirectory.from_config(settings)
    assert script.get_heads() == [HEAD]
    assert [revision.revision for revision in script.walk_revisions()] == list(reversed(REVISIONS))


def test_an_upgrade_of_an_upgraded_database_does_nothing(database_url: str) -> None:
    """The second upgrade says so."""
    assert is_at_head(database_url)
    assert upgrade(database_url) is False


def test_a_new_file_is_made_with_its_folders(tmp_path: Path) -> None:
    """Opening a store that is not there creates it, unless that is not wanted."""
    url = f"sqlite:///{tmp_path}/deep/er/trainwright.db"
    with pytest.raises(SchemaBehind, match="trainwright db upgrade"):
        open_store(url, create=False)
    assert not is_at_head(url)
    with open_store(url) as plan_store:
        assert plan_store.head_seq() == 0
    assert is_at_head(url)


def test_a_database_that_is_behind_is_not_opened_without_leave(tmp_path: Path) -> None:
    """With migrate off, and for readers, SchemaBehind names the command."""
    path = tmp_path / "trainwright.db"
    path.touch()
    url = f"sqlite:///{path}"
    with pytest.raises(SchemaBehind, match=f"needs {HEAD}"):
        open_store(url, migrate=False)
    with pytest.raises(SchemaBehind, match="trainwright db upgrade"):
        open_reader(url)


def test_a_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    """An unknown revision is neither opened nor migrated."""
    database = connect(database_url)
    with database.transaction() as tx:
        tx.execute("UPDATE alembic_version SET version_num = 'r9999'")
    database.close()
    with pytest.raises(DatabaseUnsafe, match="newer version"):
        open_store(database_url)
    with pytest.raises(DatabaseUnsafe, match="newer version"):
        open_store(database_url, migrate=False)


def open_at_once(url: str, barrier: Any, results: Any) -> None:
    """Open the same new database together with other processes."""
    barrier.wait(timeout=60)
    try:
        with open_store(url) as plan_store:
            results.put(plan_store.verify().problems)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must see it
        results.put((repr(error),))


def test_processes_that_open_a_new_database_together_make_it_once(tmp_path: Path) -> None:
    """Three processes that start at the same time all get a sound store."""
    spawn = multiprocessing.get_context("fork")
    barrier, results = spawn.Barrier(3), spawn.Queue()
    url = f"sqlite:///{tmp_path}/trainwright.db"
    children = [spawn.Process(target=open_at_once, args=(url, barrier, results)) for _ in range(3)]
    for child in children:
        child.start()
    assert [results.get(timeout=60) for _ in children] == [(), (), ()]
    for child in children:
        child.join(timeout=30)


def test_the_migrations_run_by_themselves_too(tmp_path: Path) -> None:
    """`alembic upgrade head` with TRAINWRIGHT_DATABASE_URL gives the same database."""
    url = f"sqlite:///{tmp_path}/by_hand.db"
    settings = tmp_path / "alembic.ini"
    settings.write_text(f"[alembic]\nscript_location = {migrations_dir()}\n")
    command = [sys.executable, "-m", "alembic", "-c", str(settings), "upgrade", "head"]
    environment = {**os.environ, "TRAINWRIGHT_DATABASE_URL": url}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    with open_store(url, migrate=False) as plan_store:
        assert plan_store.verify().ok
