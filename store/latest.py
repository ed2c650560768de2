"""The end of the log, and what fits are called: what a picture of the newest work asks for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from store.database import Tx
from store.layout import SELECT_EVENT
from store.records import EventRow
from store.row_records import event_row


@dataclass(frozen=True, slots=True, kw_only=True)
class FitName:
    """What a fit is called, and the stage it belongs to."""

    job_id: str
    family: str
    stage: str

    @property
    def name(self) -> str:
        """The fit's display name, ``<job_id>/<Family>``."""
        return f"{self.job_id}/{self.family}"


def newest_events(
    tx: Tx, *, kinds: Collection[str], after: int, until: int | None, plan: str | None, limit: int
) -> tuple[EventRow, ...]:
    """Return the last `limit` events of some kinds behind `after` and up to `until`, in the log's order."""
    if not kinds:
        return ()
    conditions = ["seq > ?", f"kind IN ({', '.join('?' * len(kinds))})"]
    values: list[Any] = [after, *sorted(kinds)]
    for condition, value in (("seq <= ?", until), ("plan = ?", plan)):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    sql = f"{SELECT_EVENT} WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT ?"
    return tuple(event_row(row) for row in reversed(tx.query(sql, (*values, limit))))


def fit_names(tx: Tx, fit_ids: Sequence[str]) -> dict[str, FitName]:
    """Return what each of these fits that the log knows is called."""
    if not fit_ids:
        return {}
    sql = f"SELECT fit_id, job_id, family, stage FROM fit WHERE fit_id IN ({', '.join('?' * len(fit_ids))})"
    return {
        str(row[0]): FitName(job_id=str(row[1]), family=str(row[2]), stage=str(row[3]))
        for row in tx.query(sql, fit_ids)
    }
