"""The schema of a database: brought up to the newest revision by the migrations."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import urlencode

from store.database import connect, is_sqlite, sqlite_path
from store.errors import DatabaseUnavailable, DatabaseUnsafe, SchemaBehind, StoreError
from store.revision import HEAD, REVISIONS, is_at_head, require_schema, revision_of

__all__ = ["HEAD", "is_at_head", "migrations_dir", "require_schema", "upgrade"]


def migrations_dir() -> Path:
    """Return the folder of the migrations: of the checkout, or of the installation; raises StoreError."""
    places = (
        Path(__file__).resolve().parent.parent / "migrations",
        Path(sys.prefix) / "share/trainwright/migrations",
    )
    for place in places:
        if (place / "env.py").is_file():
            return place
    raise StoreError(f"no migrations in {places[0]} or {places[1]}. Install trainwright again.")


def upgrade(url: str, *, create: bool = True) -> bool:
    """Bring a database to the newest revision; returns whether anything was done.

    Raises SchemaBehind when there is no database and `create` is False, DatabaseUnsafe when a newer version
    wrote it, DatabaseUnavailable when it does not answer.
    """
    if is_at_head(url):
        return False
    if is_sqlite(url):
        path = sqlite_path(url)
        if not path.is_file() and not create:
            raise SchemaBehind(url=url, found=None, wanted=HEAD)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    _refuse_newer(url)
    _migrate(url)
    return True


def alembic_url(url: str) -> str:
    """Return the address as SQLAlchemy names it: libpq's words as a query, so that many hosts have room."""
    if is_sqlite(url):
        return url
    return "postgresql+psycopg://?" + urlencode(import_module("psycopg.conninfo").conninfo_to_dict(url))


def _refuse_newer(url: str) -> None:
    database = connect(url)
    try:
        found = revision_of(database)
    finally:
        database.close()
    if found is not None and found not in REVISIONS:
        raise DatabaseUnsafe(
            url=url,
            sentence=f"it is at schema {found}, which a newer version of Trainwright wrote",
            fix="Use that version, or restore a backup of before",
        )


def _migrate(url: str) -> None:
    """Run the migrations; the migration library is heavy and loads only here."""
    command, config = import_module("alembic.command"), import_module("alembic.config")
    errors = import_module("sqlalchemy.exc")
    settings = config.Config()
    settings.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    settings.attributes["url"] = alembic_url(url)
    try:
        command.upgrade(settings, "head")
    except errors.OperationalError as error:
        raise DatabaseUnavailable(url=url, cause=str(error.orig)) from error
