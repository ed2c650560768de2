"""Taking over a claim: one worker claims, and another, that was sent to do it, goes on under its fence.

Whoever sends may send twice, and an engine may run twice what it was sent. The fit is locked, and its stream
says whether this fence was taken over before: of any number that try, one may start.
"""

from __future__ import annotations

from store import log
from store.choosing import FIT_WIDTH, SELECT_FIT
from store.codec import json_of
from store.database import Statement
from store.errors import LeaseLost
from store.handover_events import FitHandedOver
from store.ids import fit_stream
from store.leases import claim_of, micros, parts_of
from store.ready import LOCK
from store.records import Claim
from store.state import LEASED_STATES, FitState
from store.turn import Turn

_CLAIMED = "SELECT CAST(data AS TEXT) FROM event WHERE stream = ? AND version = ? AND kind = 'FitClaimed'"
_HANDED_OVER = "SELECT version FROM event WHERE stream = ? AND version > ? AND kind = 'FitHandedOver'"


def questions(fit_id: str, fence: int, event_id: bytes | None) -> tuple[Statement, ...]:
    """Return the questions that `take_over` needs answered at the turn's opening."""
    stream = fit_stream(fit_id)
    asked = (
        (f"{SELECT_FIT} WHERE f.fit_id = ?{LOCK}", (fit_id,)),
        (_CLAIMED, (stream, fence)),
        (_HANDED_OVER, (stream, fence)),
    )
    return asked if event_id is None else (*asked, log.by_event_id(event_id))


def take_over(turn: Turn, fit_id: str, fence: int, worker: str, *, event_id: bytes | None = None) -> Claim:
    """Make a worker the holder of a claim that nobody has begun; raises LeaseLost.

    Said again under its event id it is answered again, as long as the claim is this worker's.
    """
    rows, claimed, handed_over = turn.answers[:3]
    fit = turn.rows.prime(FitState, [row[:FIT_WIDTH] for row in rows])[0] if rows else None
    before = None
    if event_id is not None:
        before = log.same_event(turn.answers[3], fit_stream(fit_id), FitHandedOver.kind)
    if before is not None:
        free = fit is not None and fit.worker == worker and fit.state in LEASED_STATES
    else:
        free = fit is not None and fit.state == "claimed" and not handed_over
    if fit is None or fit.fence != fence or not claimed or not free:
        raise LeaseLost(
            fit=fit_id,
            fence=fence,
            current=fit.fence if fit else 0,
            state=fit.state if fit else "unknown",
            worker=fit.worker if fit else None,
        )
    if before is None:
        turn.tell(fit, [FitHandedOver(worker=worker)], actor=worker, event_id=event_id)
    lease_seconds = float(json_of(claimed[0][0])["lease_seconds"])
    expires_at = turn.now + micros(lease_seconds)
    turn.tx.later(
        "UPDATE lease SET worker = ?, renewed_at = ?, expires_at = ? WHERE fit_id = ? AND fence = ?",
        (worker, turn.now, expires_at, fit_id, fence),
    )
    return claim_of(fit, rows[0][FIT_WIDTH:], {}, lease_seconds, expires_at, parts_of(turn, fit))
