"""Which schema a database is at, asked without loading the migration library."""

from __future__ import annotations

from store.database import Database, connect, is_sqlite, sqlite_path
from store.errors import DatabaseUnavailable, DatabaseUnsafe, SchemaBehind

REVISIONS = ("r0001", "r0002", "r0003", "r0004", "r0005", "r0006")
HEAD = REVISIONS[-1]


def revision_of(database: Database) -> str | None:
    """Return the revision a database is at, or None when it has no tables of ours."""
    with database.snapshot() as tx:
        sql = (
            "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
            if tx.engine == "sqlite"
            else "SELECT COUNT(to_regclass('alembic_version'))"
        )
        if not tx.query(sql)[0][0]:
            return None
        found = tx.query("SELECT version_num FROM alembic_version")
    return str(found[0][0]) if found else None


def require_schema(database: Database) -> None:
    """Raise SchemaBehind unless a database is at the newest revision, DatabaseUnsafe when it is beyond it."""
    found = revision_of(database)
    if found == HEAD:
        return
    if found is not None and found not in REVISIONS:
        raise DatabaseUnsafe(
            url=database.url,
            sentence=f"it is at schema {found}, which a newer version of Trainwright wrote",
            fix="Use that version, or restore a backup of before",
        )
    raise SchemaBehind(url=database.url, found=found, wanted=HEAD)


def is_at_head(url: str) -> bool:
    """Return whether the database at an address is at the newest revision; False when there is none.

    False as well for a SQLite file that cannot be read before somebody has written: a crash while its tables
    were made leaves a journal that only a writer may roll back.
    """
    if is_sqlite(url) and not (sqlite_path(url).is_file() and sqlite_path(url).stat().st_size):
        return False
    database = connect(url, readonly=True)
    try:
        return revision_of(database) == HEAD
    except DatabaseUnavailable:
        if not is_sqlite(url):
            raise
        return False
    finally:
        database.close()
