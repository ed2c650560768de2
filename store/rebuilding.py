"""The projections anew: fold the whole log in memory and write the rows it leads to."""

from __future__ import annotations

from collections.abc import Callable

from store.database import Database, Row, Tx
from store.folding import fold
from store.log import all_rows, recorded_of
from store.projections import MemoryRows, write_all

# Raise it whenever the fold or a projection table changes: the store then rebuilds when it is opened.
PROJECTION_VERSION = 2
_NAME = "states"


def fold_log(tx: Tx, *, witness: Callable[[Row], None] | None = None) -> tuple[MemoryRows, int]:
    """Return the states the whole log folds to, and how many events it has; `witness` sees each row first."""
    rows, count = MemoryRows(), 0
    for row in all_rows(tx):
        if witness is not None:
            witness(row)
        fold(rows, recorded_of(row))
        count += 1
    return rows, count


def rebuild(tx: Tx) -> int:
    """Replace all projections by what the log folds to; leases stay. Returns the events."""
    rows, count = fold_log(tx)
    write_all(tx, rows)
    tx.execute("DELETE FROM projection WHERE name = ?", (_NAME,))
    tx.execute(
        "INSERT INTO projection (name, code_version, rebuilt_seq) VALUES (?, ?, ?)",
        (_NAME, PROJECTION_VERSION, count),
    )
    return count


def is_outdated(database: Database) -> bool:
    """Return whether the projections were written by another version of the fold."""
    with database.snapshot() as tx:
        found = tx.query("SELECT code_version FROM projection WHERE name = ?", (_NAME,))
    return not found or found[0][0] != PROJECTION_VERSION
