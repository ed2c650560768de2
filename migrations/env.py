"""Runs the migrations in one transaction, alone: of two processes the second finds the work done."""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import context

MIGRATION_LOCK = 0x6D69_6772_6174  # "migrat"


def address() -> str:
    """Return the address given by the program, else by TRAINWRIGHT_DATABASE_URL."""
    url: str | None = context.config.attributes.get("url") or os.environ.get("TRAINWRIGHT_DATABASE_URL")
    if url is None:
        raise SystemExit("Set TRAINWRIGHT_DATABASE_URL, or use: trainwright db upgrade")
    return url.replace("postgresql:", "postgresql+psycopg:", 1)


def migrate() -> None:
    """Bring the database to the newest revision, or leave it as it was."""
    engine = sa.create_engine(address(), poolclass=sa.pool.NullPool)
    if engine.dialect.name == "sqlite":
        # The driver must not begin on its own: the write lock is taken before anything is read.
        @sa.event.listens_for(engine, "connect")
        def _autocommit(connection: object, _record: object) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA busy_timeout = 60000")

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        context.configure(connection=connection, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


migrate()
