"""Names that people type: of jobs, fits, plans, targets and more, by how they begin; and those of models."""

from __future__ import annotations

from store.database import Tx
from store.ids import MODEL_STREAM
from store.layout import SELECT_EVENT
from store.records import EventRow
from store.row_records import event_row

LIMIT = 200
_BEGINS = "substr({column}, 1, {length}) = ?"
# Each is answered from an index or from a table with few rows, but for targets of a plan without decisions.
NOUNS = {
    "job": "SELECT DISTINCT job_id AS name FROM fit WHERE {begins} ORDER BY name LIMIT ?",
    "fit": "SELECT DISTINCT job_id || '/' || family AS name FROM fit WHERE {begins} ORDER BY name LIMIT ?",
    "plan": "SELECT plan_id AS name FROM plan WHERE {begins} ORDER BY accepted_seq DESC LIMIT ?",
    "target": (
        "SELECT target AS name FROM decision WHERE {begins} UNION "
        "SELECT target AS name FROM job WHERE {begins} ORDER BY name LIMIT ?"
    ),
    "symbol": "SELECT DISTINCT symbol AS name FROM job WHERE {begins} ORDER BY name LIMIT ?",
    "family": "SELECT DISTINCT family AS name FROM fit WHERE {begins} ORDER BY name LIMIT ?",
    "host": "SELECT host AS name FROM host WHERE {begins} ORDER BY name LIMIT ?",
}
_COLUMNS = {"job": "job_id", "fit": "job_id || '/' || family", "plan": "plan_id"}


def names(tx: Tx, noun: str, begin: str, limit: int) -> tuple[str, ...]:
    """Return up to so many names of one of the `NOUNS` that begin with a text; raises KeyError."""
    begins = _BEGINS.format(column=_COLUMNS.get(noun, noun), length=len(begin))
    sql = NOUNS[noun].format(begins=begins)
    given = [begin] * sql.count(begins)
    return tuple(str(row[0]) for row in tx.query(sql, (*given, limit)) if row[0] is not None)


def newest_planning(tx: Tx, target: str | None) -> str | None:
    """Return the planning that decided last, about a target or about any; None where none did."""
    where, given = ("", ()) if target is None else ("WHERE target = ?", (target,))
    rows = tx.query(f"SELECT planning_id FROM decision {where} ORDER BY seq DESC LIMIT 1", given)
    return str(rows[0][0]) if rows else None


def promotions(tx: Tx) -> dict[str, EventRow]:
    """Return the event that each name of a model holds by, in the order of their names."""
    rows = tx.query(f"{SELECT_EVENT} WHERE stream = ? ORDER BY version", (MODEL_STREAM,))
    found = {event.data["alias"]: event for event in map(event_row, rows) if event.kind == "ModelPromoted"}
    return dict(sorted(found.items()))
