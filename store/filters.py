"""Which fits are meant, by plan, state, stage, family, target, symbol, route, hold and words; read page-wise.

Names are compared without regard to case, and ``*`` in them stands for anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from store.database import Tx
from store.records import FitRow
from store.row_records import FIT_SQL, fit_row

Order = Literal["plan", "urgency", "newest"]

#: States in the order in which somebody should look at them; in each group the plan's order.
URGENCY = (("claimed", "running"), ("failed",), ("ready",), ("succeeded", "unavailable", "cancelled"))
# By its order, not its id: an index that begins with plan_id would tempt SQLite away from fit_unfinished_cpu.
OF_PLAN = "f.plan_order = (SELECT p.accepted_seq FROM plan AS p WHERE p.plan_id = ?)"
PLAN_ORDER = "ORDER BY f.plan_order, f.ordinal"
_NEWEST = "ORDER BY COALESCE(f.ended_at, f.started_at, f.claimed_at, 0) DESC, f.plan_order DESC, f.ordinal"
_TEXT = (
    "LOWER(f.job_id || '/' || f.family || ' ' || f.fit_id || ' ' || COALESCE(f.cause, '') || ' ' || "
    "COALESCE(f.sentence, '') || ' ' || COALESCE(f.held, ''))"
)
_WILD = str.maketrans({"!": "!!", "%": "!%", "_": "!_", "*": "%"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FitFilter:
    """Which fits are meant; an empty field means any, several values in one field mean either of them.

    Attributes:
        plan: id of the plan.
        states: ready, claimed, running, succeeded, failed, unavailable, cancelled.
        stages: cpu, gpu.
        families: names of families, ``*`` standing for anything.
        targets: names of targets, likewise.
        symbols: symbols, likewise; a fit of all symbols has none.
        jobs: ids of jobs, likewise.
        routes: routes as plans write them, such as ``ROUTE_BOTH``.
        held: whether a person holds them back.
        text: words of which all are found in a fit's name, id, cause, sentence or the reason of its hold.
    """

    plan: str | None = None
    states: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    held: bool | None = None
    text: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FitPage:
    """Some of the fits that were asked for, how many there are at all, and how many in each state."""

    rows: tuple[FitRow, ...]
    total: int
    counts: Mapping[str, int]


def fit_page(tx: Tx, where: FitFilter, *, order: Order, offset: int, limit: int) -> FitPage:
    """Return one page of the fits meant, in the order asked for, and the counts of all of them."""
    counts = fit_tally(tx, where)
    rows: tuple[FitRow, ...] = ()
    if order == "urgency":
        rows = tuple(_most_urgent(tx, where, counts, offset, limit))
    elif offset < sum(counts.values()):
        rows = _rows(tx, where, _NEWEST if order == "newest" else PLAN_ORDER, offset, limit)
    return FitPage(rows=rows, total=sum(counts.values()), counts=counts)


def fit_tally(tx: Tx, where: FitFilter) -> dict[str, int]:
    """Return how many of the fits meant are in each state."""
    sql, parameters = _condition(where)
    found = tx.query(f"SELECT f.state, COUNT(*) FROM fit AS f {sql} GROUP BY f.state", parameters)
    return {str(state): int(fits) for state, fits in sorted(found)}


def all_fits(tx: Tx, where: FitFilter) -> Iterator[FitRow]:
    """Yield all fits meant in plan order."""
    sql, parameters = _condition(where)
    yield from map(fit_row, tx.query(f"{FIT_SQL} {sql} {PLAN_ORDER}", parameters))


def fit_ids(tx: Tx, where: FitFilter) -> tuple[str, ...]:
    """Return the ids of all fits meant in plan order."""
    sql, parameters = _condition(where)
    return tuple(
        str(row[0]) for row in tx.query(f"SELECT f.fit_id FROM fit AS f {sql} {PLAN_ORDER}", parameters)
    )


def _most_urgent(
    tx: Tx, where: FitFilter, counts: Mapping[str, int], offset: int, limit: int
) -> Iterator[FitRow]:
    """Yield a page by groups of states: what lies before the page is counted, not read."""
    for group in URGENCY:
        size = sum(counts.get(state, 0) for state in group)
        if limit > 0 and offset < size:
            found = _rows(tx, where, PLAN_ORDER, offset, min(limit, size - offset), states=group)
            yield from found
            limit -= len(found)
        offset = max(0, offset - size)


def _rows(
    tx: Tx, where: FitFilter, sort: str, offset: int, limit: int, *, states: Sequence[str] = ()
) -> tuple[FitRow, ...]:
    sql, parameters = _condition(where, states)
    asked = f"{FIT_SQL} {sql} {sort} LIMIT ? OFFSET ?"
    return tuple(map(fit_row, tx.query(asked, (*parameters, limit, offset))))


def _condition(where: FitFilter, states: Sequence[str] = ()) -> tuple[str, list[Any]]:
    """Return the WHERE clause and its parameters; with `states` only fits in one of these as well."""
    clauses: list[str] = []
    parameters: list[Any] = []
    if where.plan is not None:
        clauses.append(OF_PLAN)
        parameters.append(where.plan)
    exact = ((where.states, "state"), (states, "state"), (where.stages, "stage"), (where.routes, "route"))
    for values, column in exact:
        if values:
            clauses.append(f"f.{column} IN ({', '.join('?' * len(values))})")
            parameters += values
    named = (
        (where.families, "family"), (where.targets, "target"), (where.symbols, "symbol"),
        (where.jobs, "job_id"),
    )  # fmt: skip
    for values, column in named:
        if values:
            clauses.append(f"({' OR '.join(_like(f'LOWER(f.{column})') for _ in values)})")
            parameters += [_pattern(value) for value in values]
    if where.held is not None:
        clauses.append(f"f.held IS {'NOT ' if where.held else ''}NULL")
    for word in where.text:
        clauses.append(_like(_TEXT))
        parameters.append(f"%{_pattern(word)}%")
    return (f"WHERE {' AND '.join(clauses)}" if clauses else ""), parameters


def _like(lowered: str) -> str:
    return f"{lowered} LIKE LOWER(?) ESCAPE '!'"  # LOWER of the database for both: engines lower differently


def _pattern(value: str) -> str:
    return value.translate(_WILD)
