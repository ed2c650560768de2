"""The projections anew: fold the whole log in memory and write the rows it leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from store.collecting import uncollected
from store.comparing import differences
from store.database import Database, Row, Tx
from store.folding import fold
from store.log import all_rows, recorded_of
from store.projections import MemoryRows, write_all, write_some

# Raise it whenever the fold or a projection table changes: the store then rebuilds when it is opened.
PROJECTION_VERSION = 5
_NAME = "states"


def fold_log(tx: Tx, *, witness: Callable[[Row], None] | None = None) -> tuple[MemoryRows, int]:
    """Return the states the whole log folds to, and how many events it has; `witness` sees each row first."""
    rows = MemoryRows()
    return rows, _fold_into(rows, all_rows(tx), witness)[0]


def rebuild(tx: Tx) -> int:
    """Replace all projections by what the log folds to; leases stay. Returns the events."""
    rows, count = fold_log(tx)
    write_all(tx, rows)
    _note_version(tx, count)
    return count


def rebuild_online(database: Database) -> int:
    """Make all projections what the log folds to, while others go on writing. Returns the events.

    The log is folded and compared beside the writers; they wait only while the few events that came
    meanwhile are folded too and what was wrong is written.
    """
    with database.snapshot() as tx:
        rows = MemoryRows()
        count, head = _fold_into(rows, all_rows(tx))
        wrong = {(one.kind, one.key) for one in differences(tx, rows)}
    rows.touched = wrong
    with database.transaction() as tx:
        count += _fold_into(rows, all_rows(tx, after=head))[0]
        write_some(tx, rows, rows.touched)
        _note_version(tx, count)
    return count


def _fold_into(
    rows: MemoryRows, events: Iterable[Row], witness: Callable[[Row], None] | None = None
) -> tuple[int, int]:
    """Fold events and return how many they were, and the seq of the last."""
    count = last = 0
    with uncollected():  # the fold makes no cycles
        for row in events:
            if witness is not None:
                witness(row)
            recorded = recorded_of(row)
            fold(rows, recorded)
            count += 1
            last = recorded.seq
    return count, last


def _note_version(tx: Tx, count: int) -> None:
    tx.execute("DELETE FROM projection WHERE name = ?", (_NAME,))
    tx.execute(
        "INSERT INTO projection (name, code_version, rebuilt_seq) VALUES (?, ?, ?)",
        (_NAME, PROJECTION_VERSION, count),
    )


def is_outdated(database: Database) -> bool:
    """Return whether the projections were written by another version of the fold."""
    with database.snapshot() as tx:
        found = tx.query("SELECT code_version FROM projection WHERE name = ?", (_NAME,))
    return not found or found[0][0] != PROJECTION_VERSION
