"""What readers ask the store: plans, fits, attempts, decisions, events. Light: no ORM, no pandas.

Every question is one snapshot. `open_reader` opens a database without the right to write.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from store import filters, host_reading, latest
from store.attempts import attempts_of
from store.database import Row, Tx, connect, is_sqlite, sqlite_path
from store.errors import NotFound, SchemaBehind
from store.filters import OF_PLAN, PLAN_ORDER, FitFilter, FitPage, Order
from store.ids import fit_stream, host_stream
from store.layout import SELECT_EVENT
from store.measures import Measures, measured
from store.moments import moment_of
from store.plan import Fit, Plan
from store.projections import columns_of
from store.queue_reading import QueueReading
from store.records import (
    AttemptRow,
    DecisionRow,
    EventRow,
    FitRow,
    Glance,
    HostRow,
    JobRow,
    PlanRow,
    Prospect,
)
from store.revision import HEAD, require_schema
from store.row_records import FIT_SQL, event_row, fit_row, job_row, plan_fit, plan_job, plan_row
from store.state import FIT_STATES, JobState, PlanState

_DECISION_COLUMNS = ("seq", "planning_id", "kind", "target", "view", "symbol")
_NEAREST_OF = 1000  # plans that a name nobody knows is compared with
_HEAD = "SELECT COALESCE(MAX(seq), 0) FROM event"
_PROSPECT = """
SELECT EXISTS (SELECT 1 FROM fit WHERE state = 'ready' AND stage = 'cpu'),
  EXISTS (SELECT 1 FROM fit WHERE state = 'ready' AND stage = 'gpu'),
  EXISTS (SELECT 1 FROM plan WHERE state = 'active')
"""


class Reader(QueueReading):
    """Questions to the store; each returns frozen rows."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close this thread's connection."""
        self._database.close()

    # -- plans and jobs ---

    def plans(self) -> tuple[PlanRow, ...]:
        """Return all plans in the order of their acceptance."""
        return self._plan_rows("ORDER BY accepted_seq")

    def open_plans(self) -> int:
        """Return how many plans have fits that are not final yet."""
        ended = "succeeded + failed + unavailable + cancelled"
        return int(self._query(f"SELECT COUNT(*) FROM plan WHERE fits > {ended}")[0][0])

    def find_plan_row(self, plan_id: str) -> PlanRow | None:
        """Return one plan with its counts, None when there is none."""
        found = self._plan_rows("WHERE plan_id = ?", (plan_id,))
        return found[0] if found else None

    def plan_row(self, plan_id: str) -> PlanRow:
        """Return one plan with its counts; raises NotFound."""
        found = self.find_plan_row(plan_id)
        if found is None:
            newest = f"SELECT plan_id FROM plan ORDER BY accepted_seq DESC LIMIT {_NEAREST_OF}"
            raise _not_found("plan", plan_id, [str(row[0]) for row in self._query(newest)])
        return found

    def plan(self, plan_id: str) -> Plan:
        """Return an accepted plan, whole, as it was accepted; raises NotFound."""
        row = self.plan_row(plan_id)
        with self._database.snapshot() as tx:
            header = json.loads(tx.query("SELECT header FROM plan WHERE plan_id = ?", (plan_id,))[0][0])
            jobs = self._jobs(tx, plan_id)
            fits: dict[str, list[Fit]] = {}
            for fit in self._fits(tx, f"WHERE {OF_PLAN}", (plan_id,)):
                fits.setdefault(fit.job_id, []).append(plan_fit(fit))
        return Plan(
            id=plan_id,
            document={**header, "jobs": [dict(job.record) for job in jobs]},
            jobs=tuple(plan_job(job, fits.get(job.job_id, [])) for job in jobs),
            panel_key=row.panel_key,
            stage_barrier=row.stage_barrier,
            data=row.data,
            training=row.training,
            sha256=row.sha256,
        )

    def jobs(self, plan_id: str, *, offset: int = 0, limit: int | None = None) -> tuple[JobRow, ...]:
        """Return the jobs of a plan in plan order, all or some of them."""
        with self._database.snapshot() as tx:
            return self._jobs(tx, plan_id, offset, limit)

    # -- fits ---

    def fits(
        self,
        *,
        plan: str | None = None,
        job: str | None = None,
        target: str | None = None,
        family: str | None = None,
        states: Collection[str] | None = None,
        held: bool = False,
        limit: int | None = None,
    ) -> tuple[FitRow, ...]:
        """Return fits in plan order, filtered by what is given."""
        conditions, parameters = _conditions((("f.job_id", job), ("f.target", target), ("f.family", family)))
        if plan is not None:
            conditions.append(OF_PLAN)
            parameters.append(plan)
        if held:
            conditions.append("f.held IS NOT NULL")
        if states is not None:  # spelt out, so that the partial indexes of states can be used
            named = ", ".join(f"'{state}'" for state in sorted(FIT_STATES.intersection(states)))
            conditions.append(f"f.state IN ({named})" if named else "1 = 0")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        with self._database.snapshot() as tx:
            return tuple(self._fits(tx, where, parameters, limit=limit))

    def fit_page(
        self, where: FitFilter, *, order: Order = "plan", offset: int = 0, limit: int = 100
    ) -> FitPage:
        """Return one page of the fits that a filter means, with the counts of all of them.

        "urgency" puts running and failed fits before waiting ones, and those before done ones; "newest" what
        changed last before what did not.
        """
        with self._database.snapshot() as tx:
            return filters.fit_page(tx, where, order=order, offset=offset, limit=limit)

    def fits_where(self, where: FitFilter) -> tuple[FitRow, ...]:
        """Return all fits that a filter means, in plan order."""
        with self._database.snapshot() as tx:
            return tuple(filters.all_fits(tx, where))

    def fit_ids(self, where: FitFilter) -> tuple[str, ...]:
        """Return the ids of all fits that a filter means, in plan order."""
        with self._database.snapshot() as tx:
            return filters.fit_ids(tx, where)

    def fit_tally(self, where: FitFilter) -> dict[str, int]:
        """Return how many of the fits that a filter means are in each state."""
        with self._database.snapshot() as tx:
            return filters.fit_tally(tx, where)

    def fit(self, name: str) -> FitRow:
        """Return the fit of an id or of a name ``<job_id>/<Family>`` (the newest plan's); raises NotFound."""
        job_id, _, family = name.rpartition("/")
        with self._database.snapshot() as tx:
            found = list(self._fits(tx, "WHERE f.fit_id = ?", (name,)))
            if not found:
                found = list(self._fits(tx, "WHERE f.job_id = ? AND f.family = ?", (job_id, family)))
            if not found:
                known = tx.query("SELECT fit_id, job_id, family FROM fit")
                names = [f"{row[1]}/{row[2]}" for row in known] + [str(row[0]) for row in known]
                raise _not_found("fit", name, names)
        return found[-1]

    def fit_counts(self, plan: str | None = None) -> dict[tuple[str, str], int]:
        """Return how many fits are in each (stage, state), of one plan or of all."""
        where, parameters = (f"WHERE {OF_PLAN}", (plan,)) if plan else ("", ())
        sql = (
            f"SELECT stage, state, COUNT(*) FROM fit AS f {where} GROUP BY stage, state ORDER BY stage, state"
        )
        return {(row[0], row[1]): int(row[2]) for row in self._query(sql, parameters)}

    def attempts(self, fit_id: str) -> tuple[AttemptRow, ...]:
        """Return every try at a fit, from its events."""
        return attempts_of(self.events(fit=fit_id, limit=1_000_000))

    def fit_names(self, fit_ids: Sequence[str]) -> dict[str, latest.FitName]:
        """Return what each of these fits that the log knows is called, and its stage."""
        with self._database.snapshot() as tx:
            return latest.fit_names(tx, fit_ids)

    def leased_workers(self) -> frozenset[str]:
        """Return the workers that hold a lease."""
        return frozenset(str(row[0]) for row in self._query("SELECT DISTINCT worker FROM lease"))

    def fences(self, fit_ids: Sequence[str]) -> dict[str, int]:
        """Return the fence of each of these fits that is leased."""
        sql = f"SELECT fit_id, fence FROM lease WHERE {_one_of('fit_id', fit_ids)}"
        return {str(row[0]): int(row[1]) for row in self._query(sql, fit_ids)}

    def states(self, fit_ids: Sequence[str]) -> dict[str, str]:
        """Return the state of each of these fits that the log knows."""
        sql = f"SELECT fit_id, state FROM fit WHERE {_one_of('fit_id', fit_ids)}"
        return {str(row[0]): str(row[1]) for row in self._query(sql, fit_ids)}

    def active_plans(self) -> tuple[str, ...]:
        """Return the ids of the plans that have not ended: a question that costs what is open."""
        return tuple(str(row[0]) for row in self._query("SELECT plan_id FROM plan WHERE state = 'active'"))

    def measures(self) -> Measures:
        """Return the log in numbers, for whoever watches from outside."""
        with self._database.snapshot() as tx:
            return measured(tx)

    def last_start(self, host: str) -> EventRow | None:
        """Return a host's last DaemonStarted, None when there is none."""
        sql = f"{SELECT_EVENT} WHERE stream = ? AND kind = 'DaemonStarted' ORDER BY version DESC LIMIT 1"
        found = self._query(sql, (host_stream(host),))
        return event_row(found[0]) if found else None

    def prospect(self) -> Prospect:
        """Return what there may be for a host to do: a question that costs the same however much waits."""
        return _prospect_of(self._query(_PROSPECT)[0])

    def glance(self, fit_ids: Sequence[str] = ()) -> Glance:
        """Return the log's end, what may be to do, and the fences of these fits' leases, in one question."""
        of_fits = (f"SELECT fit_id, fence FROM lease WHERE {_one_of('fit_id', fit_ids)}", tuple(fit_ids))
        with self._database.snapshot() as tx:
            head, ahead, *fences = tx.queries([(_HEAD, ()), (_PROSPECT, ()), *([of_fits] if fit_ids else [])])
        return Glance(
            head=int(head[0][0]),
            prospect=_prospect_of(ahead[0]),
            fences={str(fit_id): int(fence) for fit_id, fence in (fences[0] if fences else ())},
        )

    # -- events, decisions, hosts ---

    def head_seq(self) -> int:
        """Return the seq of the last event, 0 for none."""
        return int(self._query(_HEAD)[0][0])

    def events(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        plan: str | None = None,
        fit: str | None = None,
        job: str | None = None,
        kinds: Collection[str] | None = None,
    ) -> tuple[EventRow, ...]:
        """Return up to `limit` events behind `after` in the log's order, filtered by what is given."""
        stream = None if fit is None else fit_stream(fit)
        conditions, parameters = _conditions((("plan", plan), ("stream", stream), ("job", job)))
        conditions.insert(0, "seq > ?")
        parameters.insert(0, after)
        if kinds is not None:
            conditions.append(_one_of("kind", kinds))
            parameters += sorted(kinds)
        sql = f"{SELECT_EVENT} WHERE {' AND '.join(conditions)} ORDER BY seq LIMIT ?"
        return tuple(event_row(row) for row in self._query(sql, (*parameters, limit)))

    def events_of(self, fit_ids: Sequence[str], *, kinds: Collection[str]) -> tuple[EventRow, ...]:
        """Return the events of some kinds of a page of fits, in the log's order."""
        if not fit_ids:
            return ()
        sql = f"{SELECT_EVENT} WHERE {_one_of('stream', fit_ids)} AND {_one_of('kind', kinds)} ORDER BY seq"
        streams = [fit_stream(fit_id) for fit_id in fit_ids]
        return tuple(event_row(row) for row in self._query(sql, (*streams, *sorted(kinds))))

    def newest_events(
        self,
        kinds: Collection[str],
        *,
        after: int = 0,
        until: int | None = None,
        plan: str | None = None,
        limit: int,
    ) -> tuple[EventRow, ...]:
        """Return the last `limit` events of some kinds behind `after`, up to `until`, in the log's order."""
        with self._database.snapshot() as tx:
            return latest.newest_events(tx, kinds=kinds, after=after, until=until, plan=plan, limit=limit)

    def decisions(
        self,
        target: str | None = None,
        *,
        planning_id: str | None = None,
        after: int | None = None,
        limit: int | None = None,
    ) -> tuple[DecisionRow, ...]:
        """Return the planner's decisions of a target or all, oldest first; `limit` behind `after`."""
        conditions, parameters = _conditions((("d.target", target), ("d.planning_id", planning_id)))
        if after is not None:
            conditions.append("d.seq > ?")
            parameters.append(after)
        end = "" if limit is None else " LIMIT ?"
        parameters += [] if limit is None else [limit]
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        sql = (
            "SELECT d.seq, d.planning_id, d.kind, d.target, d.view, d.symbol, d.decided_at, "
            "CAST(e.data AS TEXT) "
            f"FROM decision AS d JOIN event AS e ON e.seq = d.seq {where} ORDER BY d.seq{end}"
        )
        return tuple(
            DecisionRow(
                **dict(zip(_DECISION_COLUMNS, row[:6], strict=True)),
                at=moment_of(row[6]),
                data=json.loads(row[7]),
            )
            for row in self._query(sql, parameters)
        )

    def hosts(self) -> tuple[HostRow, ...]:
        """Return the last known daemon of each host."""
        with self._database.snapshot() as tx:
            return host_reading.hosts(tx)

    def host(self, name: str) -> HostRow:
        """Return the last known daemon of a host; raises NotFound with the nearest name."""
        with self._database.snapshot() as tx:
            return host_reading.host(tx, name)

    def now(self) -> int:
        """Return the database's clock in microseconds since the epoch, UTC."""
        with self._database.snapshot() as tx:
            return tx.now()

    # -- inside ---

    def _plan_rows(self, where: str, parameters: Sequence[Any] = ()) -> tuple[PlanRow, ...]:
        columns = columns_of(PlanState)
        return tuple(
            plan_row(dict(zip(columns, row, strict=True)))
            for row in self._query(f"SELECT {', '.join(columns)} FROM plan {where}", parameters)
        )

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        with self._database.snapshot() as tx:
            return tx.query(sql, parameters)

    def _jobs(self, tx: Tx, plan_id: str, offset: int = 0, limit: int | None = None) -> tuple[JobRow, ...]:
        columns = columns_of(JobState)
        end, extra = ("", ()) if limit is None else (" LIMIT ? OFFSET ?", (limit, offset))
        sql = f"SELECT {', '.join(columns)} FROM job WHERE plan_id = ? ORDER BY ordinal{end}"
        rows = tx.query(sql, (plan_id, *extra))
        return tuple(job_row(dict(zip(columns, row, strict=True))) for row in rows)

    def _fits(
        self, tx: Tx, where: str, parameters: Sequence[Any], *, limit: int | None = None
    ) -> Iterator[FitRow]:
        end, extra = (" LIMIT ?", (limit,)) if limit is not None else ("", ())
        for row in tx.query(f"{FIT_SQL} {where} {PLAN_ORDER}{end}", (*parameters, *extra)):
            yield fit_row(row)


def open_reader(url: str) -> Reader:
    """Open a database to read it; raises SchemaBehind, NotFound when there is none, DatabaseUnavailable."""
    if is_sqlite(url) and not sqlite_path(url).is_file():
        raise SchemaBehind(url=url, found=None, wanted=HEAD)
    database = connect(url, readonly=True)
    require_schema(database)
    return Reader(database)


def _prospect_of(row: Row) -> Prospect:
    cpu, gpu, is_open = row
    ready = (stage for stage, is_ready in (("cpu", cpu), ("gpu", gpu)) if is_ready)
    return Prospect(ready=frozenset(ready), open=bool(is_open))


def _conditions(pairs: Sequence[tuple[str, object | None]]) -> tuple[list[str], list[Any]]:
    given = [(column, value) for column, value in pairs if value is not None]
    return [f"{column} = ?" for column, _ in given], [value for _, value in given]


def _one_of(column: str, values: Collection[str]) -> str:
    return f"{column} IN ({', '.join('?' * len(values))})" if values else "1 = 0"


def _not_found(noun: str, name: str, known: Collection[str]) -> NotFound:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return NotFound(noun=noun, name=name, nearest=nearest[0] if nearest else None)
