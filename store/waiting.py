"""What fits wait for, as questions to an open transaction: pauses, free rooms, places in the queue."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from store.awaited import awaited_ids
from store.database import Row, Tx
from store.host_events import DaemonReloaded, DaemonStarted
from store.host_reading import SILENT_SECONDS, hosts
from store.ids import PAUSE_STREAM, fit_stream, host_of, host_stream, pause_scope
from store.moments import moment_of
from store.ordering import ClaimOrder
from store.precedence import precedence
from store.ready import NOW, ORDER, READY
from store.reasons import Standing, WaitingContext
from store.records import FitRow, HostRow, PauseRow, ReadyGroup, Room

_CPU_OPEN = (
    "SELECT COUNT(*) FROM fit "
    "WHERE plan_id = ? AND stage = 'cpu' AND state IN ('ready', 'claimed', 'running')"
)
# All ready fits of a plan by the index alone; those that something of their own holds back; and the first of
# the others. Together a third of the cost of one question that groups them all.
_READY_COUNTS = """
SELECT f.stage, f.plan_order, COUNT(*) FROM fit AS f WHERE f.state = 'ready' GROUP BY f.stage, f.plan_order
"""
_APART = """
SELECT f.plan_order, f.stage, COUNT(*), MIN(f.fit_id), COUNT(f.held) FROM fit AS f
WHERE {state} = 'ready'
AND (f.held IS NOT NULL OR f.waits_for <> 0 OR f.not_before_at > {now} OR f.labels IS NOT NULL)
GROUP BY f.plan_order, f.stage, f.labels, f.held IS NULL, f.waits_for = 0,
  CASE WHEN f.not_before_at > {now} THEN f.cause END
"""
_INDEXED, _SCANNED = "f.state", "COALESCE(f.state, '')"
_SCAN_FROM_SHARE = 0.25  # of all fits ready: reading them one by one from the index costs more than all rows
_FIRST = """
SELECT f.fit_id FROM fit AS f WHERE f.state = 'ready' AND f.stage = ? AND f.plan_order = ?
AND f.held IS NULL AND f.waits_for = 0 AND (f.not_before_at IS NULL OR f.not_before_at <= {now})
AND f.labels IS NULL
ORDER BY f.priority DESC, f.ordinal LIMIT 1
"""
_HEADS = {
    stage: f"""
SELECT f.fit_id FROM plan AS p JOIN fit AS f ON f.fit_id = (
  SELECT f.fit_id FROM fit AS f WHERE f.plan_order = p.accepted_seq AND {ready} AND f.labels IS NULL
  ORDER BY {ORDER} LIMIT 1)
WHERE p.state = 'active' ORDER BY p.accepted_seq
"""
    for stage, ready in READY.items()
}
_USED = """
SELECT worker, SUM(cores), SUM(gpus), SUM(memory_bytes) FROM fit
WHERE state IN ('claimed', 'running') GROUP BY worker
"""
_UNMET, _OPEN = "state <> 'succeeded'", "state IN ('ready', 'claimed', 'running')"
_SAID = """
SELECT CAST(data AS TEXT) FROM event WHERE stream = ? AND kind IN (?, ?) ORDER BY version DESC LIMIT 1
"""
_HOLDER = "SELECT actor FROM event WHERE stream = ? AND kind = 'FitHeld' ORDER BY version DESC LIMIT 1"
_PAUSES_READ = 200  # words about pauses, newest first, in a page: there are few pauses and they are young
_NEWEST = 2**62  # beyond every version
_PAUSES_SAID = """
SELECT version, kind, actor, CAST(data AS TEXT) FROM event WHERE stream = ? AND version < ?
ORDER BY version DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What holds for all fits alike: the moment, who is at work where, with which room, and all pauses.

    `rooms` and `offers` are of those that claim; `order` is that of the daemons at work.
    """

    now: datetime
    workers: frozenset[str]
    hosts: frozenset[str]
    rooms: tuple[Room, ...] | None
    offers: tuple[tuple[str, ...], ...]
    standing: Mapping[str, Standing]
    pauses: tuple[PauseRow, ...]
    order: ClaimOrder

    @property
    def context(self) -> WaitingContext:
        """What is known for every fit."""
        return WaitingContext(
            now=self.now,
            daemons=len(self.workers),
            hosts=self.hosts,
            pauses=self.pauses,
            rooms=self.rooms,
            offers=self.offers,
            standing=self.standing,
            ahead=None,
        )


def surroundings(tx: Tx, *, is_dead: Callable[[str], bool]) -> Surroundings:
    """Return what holds for all fits; a daemon that `is_dead` is not at work, whatever the log last heard.

    Nor is one of another machine that has not given a sign of life for long, or was removed.
    """
    now = moment_of(tx.now())
    rows = {row.worker: row for row in hosts(tx) if row.removed_at is None}
    known = {worker: row.host for worker, row in rows.items() if may_be_at_work(row, now, tx.engine)}
    leased = {str(row[0]) for row in tx.query("SELECT DISTINCT worker FROM lease")}
    workers = frozenset(worker for worker in {*known, *leased} if not is_dead(worker))
    said = {worker: _said(tx, known[worker]) for worker in sorted(workers & known.keys())}
    claiming = {worker: word for worker, word in said.items() if rows[worker].draining is None}
    claimants = workers - (said.keys() - claiming.keys())
    rooms = _rooms(tx, claiming, claimants) if claimants or not workers else ()
    return Surroundings(
        now=now,
        workers=workers,
        hosts=frozenset(known.get(worker) or host_of(worker) for worker in workers),
        rooms=rooms,
        offers=() if rooms is None else tuple(rows[worker].labels for worker in claiming),
        standing={
            row.host: Standing(labels=row.labels, at_work=worker in workers, draining=row.draining)
            for worker, row in rows.items()
        },
        pauses=pauses(tx),
        order=_order(said.values()),
    )


def may_be_at_work(row: HostRow, now: datetime, engine: str) -> bool:
    """Whether the daemon of a host works as far as the log and its last sign of life tell.

    The sign matters on a log that machines share; on the log of one its process can be looked for. Older
    daemons give none; they are believed.
    """
    if row.state != "working" or row.removed_at is not None:
        return False
    if row.beat_at is None or engine != "postgresql":
        return True
    return (now - row.beat_at).total_seconds() < SILENT_SECONDS


def pauses(tx: Tx) -> tuple[PauseRow, ...]:
    """Return all pauses, oldest first, with who asked for each."""
    found = tx.query("SELECT scope, plan_id, stage, host, reason, paused_at FROM pause ORDER BY paused_at")
    actors = _pausers(tx, {row[0] for row in found})
    return tuple(
        PauseRow(plan=plan, stage=stage, host=host, reason=reason, at=moment_of(at), actor=actors.get(scope))
        for scope, plan, stage, host, reason, at in found
    )


def _pausers(tx: Tx, scopes: Set[str]) -> dict[str, str]:
    """Return who asked for the pauses that there are, however long ago: a host lifts only its own."""
    actors: dict[str, str] = {}
    before = _NEWEST
    while scopes - actors.keys():
        said = tx.query(_PAUSES_SAID, (PAUSE_STREAM, before, _PAUSES_READ))
        for _, kind, actor, data in said:
            word = json.loads(data)
            if kind == "WorkPaused":
                actors.setdefault(pause_scope(word["plan"], word["stage"], word["host"]), actor)
        if len(said) < _PAUSES_READ:
            break
        before = said[-1][0]
    return actors


def context_of(tx: Tx, fit: FitRow, around: Surroundings) -> WaitingContext:
    """Return what `waiting_reason` needs to say why one fit waits, with its place in the queue."""
    first = precedence(tx, fit, around.order, paused=_paused_plans(around, fit.stage))
    running = "SELECT COUNT(*) FROM fit WHERE state IN ('claimed', 'running') AND stage = ?"
    holders = tx.query(_HOLDER, (fit_stream(fit.id),)) if fit.held is not None else []
    return WaitingContext(
        now=around.now,
        daemons=len(around.workers),
        hosts=around.hosts,
        pauses=around.pauses,
        rooms=around.rooms,
        offers=around.offers,
        standing=around.standing,
        held_by=holders[0][0] if holders else None,
        needs=_others(tx, fit.depends_on, _UNMET) if fit.waits_for else (),
        awaited=_others(tx, awaited_ids(fit.awaits), _OPEN) if fit.waits_for else (),
        cpu_open=cpu_open(tx, fit.plan_id, fit.job_id if fit.stage_barrier == "job" else None),
        running=_number(tx.query(running, (fit.stage,))),
        ahead=first.fits,
        ahead_of_others=first.others,
        at_work=first.at_work,
    )


def _paused_plans(around: Surroundings, stage: str) -> frozenset[str]:
    """Return the plans of which no host that is at work starts a fit of a stage."""
    paused: defaultdict[str, set[str | None]] = defaultdict(set)
    for pause in around.pauses:
        if pause.plan is not None and pause.stage in (None, stage):
            paused[pause.plan].add(pause.host)
    return frozenset(
        plan for plan, hosts in paused.items() if None in hosts or (around.hosts and around.hosts <= hosts)
    )


def ready_groups(tx: Tx) -> tuple[ReadyGroup, ...]:
    """Return the ready fits counted by plan, stage and what holds them back, however many they are."""
    counts = {(order, stage): int(fits) for stage, order, fits in tx.query(_READY_COUNTS)}
    if not counts:
        return ()
    now = str(tx.now())
    plans: dict[int, str] = dict(tx.query("SELECT accepted_seq, plan_id FROM plan"))
    total = _number(tx.query("SELECT COUNT(*) FROM fit"))
    state = _SCANNED if sum(counts.values()) > _SCAN_FROM_SHARE * total else _INDEXED
    found = []
    for order, stage, fits, first, held in tx.query(_APART.format(state=state, now=now)):
        counts[order, stage] -= fits
        found.append(
            ReadyGroup(plan_id=plans[order], stage=stage, fits=int(fits), first=first, held=held > 0)
        )
    for (order, stage), fits in counts.items():
        heads = tx.query(_FIRST.format(now=now), (stage, order)) if fits else []
        found += [
            ReadyGroup(plan_id=plans[order], stage=stage, fits=fits, first=str(row[0]), held=False)
            for row in heads
        ]
    return tuple(sorted(found, key=lambda group: (group.plan_id, group.stage, group.held, group.first)))


def queue_heads(tx: Tx, stage: str) -> tuple[str, ...]:
    """Return the ids of the fits that could be claimed first of a stage, one of each open plan."""
    return tuple(str(row[0]) for row in tx.query(_HEADS[stage].replace(NOW, str(tx.now()))))


def cpu_open(tx: Tx, plan_id: str, job_id: str | None = None) -> int:
    """Return how many CPU fits of a plan, or of one job of it, have not ended."""
    if job_id is None:
        return _number(tx.query(_CPU_OPEN, (plan_id,)))
    return _number(tx.query(f"{_CPU_OPEN} AND job_id = ?", (plan_id, job_id)))


def _others(tx: Tx, fit_ids: Collection[str], condition: str) -> tuple[str, ...]:
    """Return the names of those fits that are in some states."""
    marks = ", ".join("?" * len(fit_ids))
    sql = f"SELECT job_id, family FROM fit WHERE fit_id IN ({marks}) AND {condition} ORDER BY ordinal"
    return tuple(f"{job}/{family}" for job, family in tx.query(sql, sorted(fit_ids))) if fit_ids else ()


def _said(tx: Tx, host: str) -> dict[str, Any]:
    """Return what the daemon of a host said of itself last, at its start or when its settings changed."""
    last = tx.query(_SAID, (host_stream(host), DaemonStarted.kind, DaemonReloaded.kind))
    return dict(json.loads(last[0][0])) if last else {}


def _rooms(tx: Tx, said: Mapping[str, Mapping[str, Any]], workers: Set[str]) -> tuple[Room, ...] | None:
    """Return what each worker has free, as it said; None when one of them did not say."""
    if not workers or workers - said.keys():
        return None
    used = {row[0]: row[1:] for row in tx.query(_USED)}
    if any(word.get("worker") != worker or word.get("cpu_slots") is None for worker, word in said.items()):
        return None
    return tuple(_left(word, used.get(worker, (0, 0, 0))) for worker, word in said.items())


def _order(said: Iterable[Mapping[str, Any]]) -> ClaimOrder:
    """Return the order by which daemons claim, of the first that told it."""
    names = ("priority_step_seconds", "share_step_seconds")
    steps = ({name: word[name] for name in names if word.get(name) is not None} for word in said)
    return ClaimOrder(**next(filter(None, steps), {}))


def _left(said: Mapping[str, Any], used: Row) -> Room:
    """Return what is free of what a daemon has, and what it has."""
    cores, gpus, memory = (int(value or 0) for value in used)
    whole = Room(
        cores=said["cpu_slots"] or 0, gpus=said.get("gpu_slots") or 0, memory_bytes=said.get("memory_bytes")
    )
    return Room(
        cores=max(0, whole.cores - cores),  # more is taken than there is where a host was made smaller
        gpus=max(0, whole.gpus - gpus),
        memory_bytes=None if whole.memory_bytes is None else max(0, whole.memory_bytes - memory),
        whole=whole,
    )


def _number(rows: list[Row]) -> int:
    return int(rows[0][0])
