"""What each event of a fit does to its row: a pure function from the row and the event to changed columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from store.codec import text_of
from store.events import (
    CheckpointSaved,
    FitCancelled,
    FitClaimed,
    FitFailed,
    FitHeld,
    FitHoldLifted,
    FitProgressed,
    FitReleased,
    FitRetried,
    FitStarted,
    FitSucceeded,
    FitUnavailable,
    LeaseExpired,
)
from store.handover_events import FitHandedOver
from store.log import Recorded
from store.moments import microseconds_of
from store.state import FitState

_OF_AN_ATTEMPT = (
    "not_before_at", "started_at", "pid", "device_used", "device_reason", "log", "cause", "sentence", "place",
)  # fmt: skip


def fit_change(fit: FitState, recorded: Recorded) -> dict[str, Any]:
    """Return the columns of a fit that one event changes; none for an event that says nothing of it."""
    at = recorded.recorded_at
    match recorded.event:
        case FitClaimed() as event:
            return _claimed(fit, event, recorded)
        case FitStarted() as event:
            return {
                "state": "running",
                "started_at": at,
                "pid": event.pid,
                "device_used": event.device_used,
                "device_reason": event.device_reason,
                "log": event.log,
            }
        case FitHandedOver() as event:
            return {"worker": event.worker}
        case FitProgressed() as event:
            return {
                "step": event.step,
                "steps_total": event.steps_total,
                "train_loss": event.train_loss,
                "valid_loss": event.valid_loss,
            }
        case CheckpointSaved() as event:
            return {
                "checkpoint_step": event.step,
                "checkpoint_path": event.path,
                "checkpoint_attempt": fit.attempt,
                "checkpoint_fence": fit.fence,
                "checkpoint_at": at,
            }
        case FitSucceeded() as event:
            return {
                "state": "succeeded",
                "ended_at": at,
                "bundle": event.bundle,
                "bundle_sha256": event.sha256,
                "metrics": text_of(event.metrics),
                "seconds": event.seconds,
            }
        case _:
            return _fit_setback(fit, recorded)


def _fit_setback(fit: FitState, recorded: Recorded) -> dict[str, Any]:
    """Return the columns changed by an event that ends an attempt without success, or undoes an end."""
    at = recorded.recorded_at
    match recorded.event:
        case FitUnavailable() as event:
            cause = _cause_of(event.needs)
            return {"state": "unavailable", "ended_at": at, "cause": cause, "sentence": event.reason}
        case FitFailed() as event:
            return {
                "state": "ready" if event.retry else "failed",
                "failures": fit.failures + event.counted,
                "expiries": fit.expiries + (event.cause == "lost_worker"),
                "not_before_at": _micros(event.retry_at),
                "ended_at": None if event.retry else at,
                "cause": event.cause,
                "sentence": event.sentence,
                "place": event.where,
            }
        case FitReleased() as event:
            return {"state": "ready", "worker": None, "cause": "released", "sentence": event.cause}
        case LeaseExpired() as event:
            return {
                "state": "ready",
                "expiries": fit.expiries + 1,
                "worker": None,
                "cause": "lease expired",
                "sentence": event.cause,
            }
        case FitRetried() as event:
            return {
                "state": "ready",
                "failures": 0,
                "expiries": 0,
                "worker": None,
                "not_before_at": None,
                "ended_at": None,
                "cause": "retried",
                "sentence": event.reason,
                "place": None,
            }
        case FitCancelled() as event:
            return {"state": "cancelled", "ended_at": at, "cause": "cancelled", "sentence": event.reason}
        case FitHeld() | FitHoldLifted() as event:
            return {"held": event.reason if isinstance(event, FitHeld) else None}
        case _:
            return {}


def _cause_of(needs: str | None) -> str:
    """Return why a fit is unavailable: a library, its plan, or the fit that it needs."""
    if needs is None:
        return "unavailable"
    return "dependency" if needs else "unsuitable"


def _claimed(fit: FitState, event: FitClaimed, recorded: Recorded) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "state": "claimed",
        "attempt": event.attempt,
        "fence": recorded.version,
        "worker": event.worker,
        "claimed_at": recorded.recorded_at,
    }
    if fit.attempt or fit.cause is not None:  # what was before is over
        changes |= dict.fromkeys(_OF_AN_ATTEMPT)
    return changes


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds_of(moment)
