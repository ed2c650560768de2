"""Leases: who may run a fit, until when, and whose word about it counts.

The lease's time decides when a fit may be taken over; only the fence decides who may write. A fence is the
stream version of the `FitClaimed` event: it grows with every claim and is rebuilt from the log.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from store import log
from store.errors import LeaseLost
from store.events import FitClaimed, FitEvent, FitFailed, LeaseExpired
from store.ids import fit_stream
from store.moments import MICROSECONDS, moment_of, optional_moment
from store.ready import ORDER, READY
from store.records import Checkpoint, Claim, Failure, Rescue
from store.state import LEASED_STATES, FitState, JobState, PlanState
from store.turn import Turn

_LEASED = """
SELECT f.fit_id, l.renewed_at, l.expires_at FROM fit AS f LEFT JOIN lease AS l ON l.fit_id = f.fit_id
WHERE f.state IN ('claimed', 'running') ORDER BY f.plan_order, f.ordinal
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a fit is tried: failures and expired leases are counted apart."""

    attempts_max: int = 3
    expiries_max: int = 10
    backoff_seconds: float = 5.0
    backoff_seconds_max: float = 600.0

    def backoff(self, failures: int) -> float:
        """Return the seconds to wait after so many failures: doubling, capped."""
        return min(self.backoff_seconds_max, self.backoff_seconds * 2.0 ** max(0, failures - 1))


def claim(
    turn: Turn, worker: str, *, stage: str, limit: int, lease_seconds: float, plans: Collection[str] | None
) -> tuple[Claim, ...]:
    """Lease up to `limit` ready fits, most urgent first; no GPU fit before its CPU stage has ended."""
    if plans is not None and not plans:
        return ()
    chosen = sorted(plans) if plans is not None else []
    of_plans = f" AND f.plan_id IN ({', '.join('?' * len(chosen))})" if chosen else ""
    sql = f"SELECT f.fit_id FROM fit AS f WHERE {READY}{of_plans} ORDER BY {ORDER} LIMIT ?"
    ready = turn.tx.query(sql, (stage, turn.now, *chosen, limit))
    return tuple(_claimed(turn, turn.fit(row[0]), worker, lease_seconds) for row in ready)


def renew(turn: Turn, held: Claim) -> datetime:
    """Extend a lease, even past its end as long as nobody took it back; raises LeaseLost."""
    _require_held(turn, held)
    expires_at = turn.now + _micros(held.lease_seconds)
    turn.tx.execute(
        "UPDATE lease SET renewed_at = ?, expires_at = ? WHERE fit_id = ? AND fence = ?",
        (turn.now, expires_at, held.fit_id, held.fence),
    )
    return moment_of(expires_at)


def say(turn: Turn, held: Claim, word: FitEvent, *, event_id: bytes | None = None) -> int:
    """Append a worker's word and return its seq; raises LeaseLost when its lease has ended."""
    before = _said(turn, held, word, event_id)
    if before is not None:
        return before.seq
    fit = _require_held(turn, held)
    return turn.tell(fit, [word], actor=held.worker, event_id=event_id)[0].seq


def fail(
    turn: Turn, held: Claim, failure: Failure, *, policy: RetryPolicy, event_id: bytes | None = None
) -> FitFailed:
    """Append a failure, decide whether it is tried again, and return the event; raises LeaseLost."""
    word = FitFailed(cause=failure.cause, sentence=failure.sentence, where=failure.where)
    before = _said(turn, held, word, event_id)
    if before is not None and isinstance(before.event, FitFailed):
        return before.event
    fit = _require_held(turn, held)
    failures = fit.failures + 1
    if failure.retryable and failures < policy.attempts_max:
        retry_at = moment_of(turn.now + _micros(policy.backoff(failures)))
        word = replace(word, retry=True, retry_at=retry_at)
    turn.tell(fit, [word], actor=held.worker, event_id=event_id)
    return word


def rescue(turn: Turn, *, policy: RetryPolicy, dead: Collection[str]) -> tuple[Rescue, ...]:
    """Take back every fit whose lease ran out or is missing, or whose worker is dead."""
    rescued = []
    for fit_id, renewed_at, expires_at in turn.tx.query(_LEASED):
        fit = turn.fit(fit_id)
        if fit.worker in dead:
            rescued.append(_expired(turn, fit, renewed_at, "daemon gone", policy))
        elif expires_at is None or expires_at < turn.now:
            rescued.append(_expired(turn, fit, renewed_at, "lease ran out", policy))
    return tuple(rescued)


def _require_held(turn: Turn, held: Claim) -> FitState:
    """Return the fit's state if the claim's fence is current; raises LeaseLost."""
    fit = turn.rows.get(FitState, held.fit_id)
    if fit is None or fit.fence != held.fence or fit.state not in LEASED_STATES:
        raise LeaseLost(
            fit=held.fit_id,
            fence=held.fence,
            current=fit.fence if fit else 0,
            state=fit.state if fit else "unknown",
        )
    return fit


def _said(turn: Turn, held: Claim, word: FitEvent, event_id: bytes | None) -> log.Recorded | None:
    """Return the event an id was recorded as before, or None; raises EventIdReused."""
    if event_id is None:
        return None
    before = log.already(turn.tx, fit_stream(held.fit_id), [word.kind], [event_id])
    return before[0] if before else None


def _claimed(turn: Turn, fit: FitState, worker: str, lease_seconds: float) -> Claim:
    """Append FitClaimed, write the lease, and return the claim with all a child needs."""
    attempt = fit.attempt + 1
    word = FitClaimed(worker=worker, attempt=attempt, lease_seconds=lease_seconds)
    fence = turn.tell(fit, [word], actor=worker, attempt=attempt)[0].version
    expires_at = turn.now + _micros(lease_seconds)
    turn.tx.execute("DELETE FROM lease WHERE fit_id = ?", (fit.fit_id,))
    turn.tx.execute(
        "INSERT INTO lease (fit_id, fence, worker, renewed_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        (fit.fit_id, fence, worker, turn.now, expires_at),
    )
    plan, job = turn.rows.get(PlanState, fit.plan_id), turn.rows.get(JobState, fit.plan_id, fit.job_id)
    record = json.loads(job.record) if job else {}
    features = record.get("features")
    return Claim(
        fit_id=fit.fit_id,
        plan_id=fit.plan_id,
        job_id=fit.job_id,
        family=fit.family,
        stage=fit.stage,
        target=fit.target,
        symbol=fit.symbol,
        route=fit.route,
        training_type=fit.training_type,
        priority=fit.priority,
        features=tuple(features) if features is not None else None,
        job=record,
        data=json.loads(plan.data) if plan else {},
        training=json.loads(plan.training) if plan else {},
        worker=worker,
        attempt=attempt,
        fence=fence,
        lease_seconds=lease_seconds,
        lease_until=moment_of(expires_at),
        checkpoint=_checkpoint(fit),
    )


def _checkpoint(fit: FitState) -> Checkpoint | None:
    if fit.checkpoint_step is None or fit.checkpoint_path is None:
        return None
    return Checkpoint(
        step=fit.checkpoint_step,
        path=fit.checkpoint_path,
        attempt=fit.checkpoint_attempt or 0,
        fence=fit.checkpoint_fence or 0,
    )


def _expired(turn: Turn, fit: FitState, renewed_at: int | None, cause: str, policy: RetryPolicy) -> Rescue:
    """Append LeaseExpired, and FitFailed when that happened too often; return what was lost."""
    last_seen = renewed_at if renewed_at is not None else fit.claimed_at
    own_checkpoint = fit.checkpoint_fence == fit.fence
    safe_at = max(fit.started_at or fit.claimed_at or 0, (fit.checkpoint_at or 0) if own_checkpoint else 0)
    lost_seconds = max(0, (last_seen or 0) - safe_at) / MICROSECONDS
    words: list[FitEvent] = [
        LeaseExpired(
            worker=fit.worker or "",
            cause=cause,
            last_seen_at=optional_moment(last_seen),
            last_checkpoint_step=fit.checkpoint_step,
            lost_seconds=lost_seconds,
        )
    ]
    final = fit.expiries + 1 >= policy.expiries_max
    if final:
        sentence = f"its lease ended {fit.expiries + 1} times without a last word"
        words.append(FitFailed(cause="internal", sentence=sentence, where="lease"))
    turn.tell(fit, words, actor="rescuer")
    return Rescue(
        fit_id=fit.fit_id,
        job_id=fit.job_id,
        family=fit.family,
        worker=fit.worker or "",
        cause=cause,
        lost_seconds=lost_seconds,
        final=final,
    )


def _micros(seconds: float) -> int:
    return round(seconds * MICROSECONDS)
