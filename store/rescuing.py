"""Fits taken back from leases that ended without a last word, by whichever host sees it first.

Every host of a log looks again and again. A look that finds nothing takes no lock; what it finds is taken
back beside others. A fit whose row somebody has locked is passed over: its holder speaks, or another host
takes it back this moment.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from store.database import Statement, Tx
from store.events import FitEvent, FitFailed, LeaseExpired
from store.moments import MICROSECONDS, optional_moment
from store.projections import read_columns
from store.ready import SKIP
from store.records import Rescue
from store.retries import RetryPolicy
from store.state import FitState
from store.turn import Turn

AT_ONCE = 200  # fits taken back in one transaction
_OVERDUE = """
SELECT f.fit_id FROM fit AS f LEFT JOIN lease AS l ON l.fit_id = f.fit_id
WHERE f.state IN ('claimed', 'running') AND (l.expires_at IS NULL OR l.expires_at < {now}{dead})
ORDER BY f.plan_order, f.ordinal
"""
_LEASED = f"SELECT {read_columns(FitState, 'f')} FROM fit AS f WHERE f.state IN ('claimed', 'running')"
_LEASES = "SELECT l.fit_id, l.renewed_at, l.expires_at FROM lease AS l WHERE l.fit_id IN"


def overdue(tx: Tx, *, now: int, dead: Collection[str] = ()) -> tuple[str, ...]:
    """Return the fits whose lease ran out or is missing, or whose worker is dead: what `rescue` is for."""
    also = f" OR f.worker IN ({_marks(dead)})" if dead else ""
    found = tx.query(_OVERDUE.format(now=now, dead=also), sorted(dead))
    return tuple(str(row[0]) for row in found)


def question(fit_ids: Sequence[str]) -> Statement:
    """Return the question that `rescue` needs answered at the turn's opening: those fits, locked."""
    return f"{_LEASED} AND f.fit_id IN ({_marks(fit_ids)}) ORDER BY f.plan_order, f.ordinal{SKIP}", fit_ids


def rescue(
    turn: Turn, *, policy: RetryPolicy, dead: Collection[str], by_time: bool = True
) -> tuple[Rescue, ...]:
    """Take back those of the fits asked for whose lease ran out or is missing, or whose worker is dead.

    Not `by_time`: only of the dead.

    The leases are read once the fits are locked: a renewal that was on its way counts.
    """
    fits = turn.rows.prime(FitState, turn.answers[0])
    leases = _leases(turn, fits)
    rescued = []
    for fit in fits:
        renewed_at, expires_at = leases.get(fit.fit_id, (None, None))
        if fit.worker in dead:
            rescued.append(_expired(turn, fit, renewed_at, "daemon gone", policy))
        elif by_time and (expires_at is None or expires_at < turn.now):
            rescued.append(_expired(turn, fit, renewed_at, "lease ran out", policy))
    return tuple(rescued)


def take_back(turn: Turn, workers: Collection[str], *, cause: str, policy: RetryPolicy) -> tuple[Rescue, ...]:
    """Take back every fit that these workers hold, for a cause that is not their lease."""
    if not workers:
        return ()
    held = turn.query(f"{_LEASED} AND f.worker IN ({_marks(workers)})", sorted(workers))
    fits = turn.rows.prime(FitState, held)
    leases = _leases(turn, fits)
    return tuple(_expired(turn, fit, leases.get(fit.fit_id, (None, None))[0], cause, policy) for fit in fits)


def _leases(turn: Turn, fits: Sequence[FitState]) -> dict[str, tuple[int | None, int | None]]:
    """Return when each of these fits was renewed last, and when its lease ends."""
    if not fits:
        return {}
    rows = turn.query(f"{_LEASES} ({_marks(fits)})", [fit.fit_id for fit in fits])
    return {fit_id: (renewed_at, expires_at) for fit_id, renewed_at, expires_at in rows}


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def _expired(turn: Turn, fit: FitState, renewed_at: int | None, cause: str, policy: RetryPolicy) -> Rescue:
    """Append LeaseExpired, and FitFailed when that happened too often; return what was lost."""
    worker = fit.worker or ""
    last_seen = renewed_at if renewed_at is not None else fit.claimed_at
    own_checkpoint = fit.checkpoint_fence == fit.fence
    safe_at = max(fit.started_at or fit.claimed_at or 0, (fit.checkpoint_at or 0) if own_checkpoint else 0)
    lost_seconds = max(0, (last_seen or 0) - safe_at) / MICROSECONDS
    words: list[FitEvent] = [
        LeaseExpired(
            worker=worker,
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
        plan_id=fit.plan_id,
        job_id=fit.job_id,
        attempt=fit.attempt,
        family=fit.family,
        worker=worker,
        cause=cause,
        lost_seconds=lost_seconds,
        final=final,
    )
