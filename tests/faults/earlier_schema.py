"""A log as the version before this one left it: the same events, in the tables of the revision before."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from store.database import connect, sqlite_path
from store.layout import COLUMNS, SELECT_EVENT
from store.revision import REVISIONS
from store.schema import alembic_url, migrations_dir


def as_written_before(url: str) -> int:
    """Put a database of the revision before in the place of a SQLite log; returns how many events it has.

    Its projections are empty, as those of an older version are worthless: they are folded anew.
    """
    path = sqlite_path(url)
    older = f"sqlite:///{path}.older"
    settings = Config()
    settings.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    settings.attributes["url"] = alembic_url(older)
    command.upgrade(settings, REVISIONS[-2])
    source, target = connect(url, readonly=True), connect(older)
    with source.snapshot() as tx:
        rows = [tuple(row) for row in tx.query(f"{SELECT_EVENT} ORDER BY seq")]
    with target.transaction() as tx:
        marks = ", ".join("?" * len(COLUMNS))
        tx.execute_many(f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({marks})", rows)
    source.close()
    target.close()
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    for ending in ("", "-wal", "-shm"):
        if Path(f"{path}.older{ending}").exists():
            Path(f"{path}.older{ending}").rename(f"{path}{ending}")
    return len(rows)
