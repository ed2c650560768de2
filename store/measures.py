"""Counts for whoever watches from outside: fits, attempts, durations, leases, ages of queue and log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from store.database import Tx

BOUNDS_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0)
_FITS = """
SELECT family, stage, state, COUNT(*), SUM(attempt), SUM(failures), SUM(expiries) FROM fit
GROUP BY family, stage, state ORDER BY family, stage, state
"""
_UPTO = ", ".join(f"SUM(CASE WHEN seconds <= {bound} THEN 1 ELSE 0 END)" for bound in BOUNDS_SECONDS)
_DURATIONS = f"""
SELECT family, COUNT(*), SUM(seconds), {_UPTO} FROM fit
WHERE state = 'succeeded' AND seconds IS NOT NULL GROUP BY family ORDER BY family
"""
_PLANS = "SELECT state, COUNT(*) FROM plan GROUP BY state ORDER BY state"
_QUEUED = """
SELECT MIN(p.queued_at) FROM plan AS p WHERE p.state = 'active'
AND EXISTS (SELECT 1 FROM fit AS f WHERE f.plan_order = p.accepted_seq AND f.state = 'ready')
"""
_LAST = "SELECT seq, recorded_at FROM event ORDER BY seq DESC LIMIT 1"
_LEASES = "SELECT COUNT(*) FROM lease"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitCount:
    """Fits of one family, stage and state: how many, and what they have been through together."""

    family: str
    stage: str
    state: str
    fits: int
    attempts: int
    failures: int
    expiries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long the fits of a family took that succeeded: `upto` has a count for each of BOUNDS_SECONDS."""

    family: str
    fits: int
    seconds: float
    upto: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The log in numbers, at one moment; ages are in seconds, None where there is nothing of that kind.

    Attributes:
        fits: counts by family, stage and state.
        durations: of fits that succeeded, by family.
        plans: state -> how many.
        leases: fits that are owned by a daemon.
        queue_seconds: how long the oldest plan with ready fits has been waiting.
        head_seq: of the last event.
        last_event_seconds: since then.
    """

    fits: tuple[FitCount, ...]
    durations: tuple[Durations, ...]
    plans: Mapping[str, int] = field(default_factory=dict)
    leases: int
    queue_seconds: float | None
    head_seq: int
    last_event_seconds: float | None


def measured(tx: Tx) -> Measures:
    """Return the log in numbers; it reads each fit once, and of the events the last."""
    fits, durations, plans, leases, queued, last = tx.queries(
        [(sql, ()) for sql in (_FITS, _DURATIONS, _PLANS, _LEASES, _QUEUED, _LAST)]
    )
    now = tx.now()
    return Measures(
        fits=tuple(
            FitCount(
                family=str(row[0]),
                stage=str(row[1]),
                state=str(row[2]),
                fits=int(row[3]),
                attempts=int(row[4]),
                failures=int(row[5]),
                expiries=int(row[6]),
            )
            for row in fits
        ),
        durations=tuple(
            Durations(
                family=str(row[0]),
                fits=int(row[1]),
                seconds=float(row[2]),
                upto=tuple(int(count) for count in row[3:]),
            )
            for row in durations
        ),
        plans={str(row[0]): int(row[1]) for row in plans},
        leases=int(leases[0][0]),
        queue_seconds=_age(queued[0][0], now),
        head_seq=int(last[0][0]) if last else 0,
        last_event_seconds=_age(last[0][1] if last else None, now),
    )


def _age(at: int | None, now: int) -> float | None:
    """Seconds since a moment in microseconds, at least 0."""
    return None if at is None else max(0, now - int(at)) / 1e6
