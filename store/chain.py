"""The chain of hashes as whoever keeps the log walks it: where it begins, where it ends, whether a row fits.

A log begins behind nothing, or, once its oldest part was retired, behind the event that `log_start` names.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

from store.database import Row, Tx
from store.errors import LogDamaged
from store.layout import SELECT_EVENT
from store.log import GENESIS, link_fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in the chain: the seq of an event and its hash; 0 and the genesis before the first."""

    seq: int
    hash: bytes


def start_of(tx: Tx) -> Place:
    """Return the place the first event of a log links to."""
    found = tx.query("SELECT seq, hash FROM log_start ORDER BY seq DESC LIMIT 1")
    return Place(seq=int(found[0][0]), hash=bytes(found[0][1])) if found else Place(seq=0, hash=GENESIS)


def head_of(tx: Tx) -> Place:
    """Return the place of the last event, or of the start when there is none."""
    found = tx.query("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1")
    return Place(seq=int(found[0][0]), hash=bytes(found[0][1])) if found else start_of(tx)


def rows_between(tx: Tx, after: int, upto: int) -> Iterable[Row]:
    """Yield the rows behind `after` up to and with `upto`, in order."""
    return tx.stream(f"{SELECT_EVENT} WHERE seq > ? AND seq <= ? ORDER BY seq", (after, upto))


def followed(rows: Iterable[Row], start: Place) -> Iterator[Row]:
    """Yield rows as long as each is the next and its hash follows.

    Raises LogDamaged at the first that is not.
    """
    seq, link = start.seq, start.hash
    try:
        for row in rows:
            if row[0] != seq + 1:
                raise LogDamaged(
                    seq=int(row[0]), sentence=f"it follows event {seq}; the events between are missing"
                )
            if not link_fits(link, row):
                raise LogDamaged(
                    seq=int(row[0]),
                    sentence="its hash does not follow from the event before: one was changed",
                )
            seq, link = int(row[0]), bytes(row[15])
            yield row
    finally:
        if isinstance(rows, Generator):
            rows.close()  # now, while its transaction is open
