"""The tries at a fit, read from its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from store.records import AttemptRow, EventRow

_ENDINGS = frozenset(("FitSucceeded", "FitFailed", "FitReleased", "LeaseExpired", "FitCancelled"))


def attempts_of(events: Sequence[EventRow]) -> tuple[AttemptRow, ...]:
    """Return the attempts that the events of one fit tell of, oldest first."""
    attempts: list[AttemptRow] = []
    for event in events:
        if event.kind == "FitClaimed":
            attempts.append(_begun(event))
        elif attempts and attempts[-1].outcome is None:
            attempts[-1] = _after(attempts[-1], event)
    return tuple(attempts)


def _begun(event: EventRow) -> AttemptRow:
    return AttemptRow(
        fit_id=event.fit or "",
        attempt=event.data.get("attempt", 0),
        fence=event.version,
        worker=event.data.get("worker", ""),
        claimed_at=event.at,
        started_at=None,
        ended_at=None,
        outcome=None,
        cause=None,
        sentence=None,
        pid=None,
        device_used=None,
        log=None,
        resumed_from_step=None,
        checkpoint_step=None,
    )


def _after(attempt: AttemptRow, event: EventRow) -> AttemptRow:
    """Return an attempt after one more event of its fit."""
    data = event.data
    if event.kind == "FitStarted":
        return replace(
            attempt,
            started_at=event.at,
            pid=data.get("pid"),
            device_used=data.get("device_used"),
            log=data.get("log"),
            resumed_from_step=data.get("resumed_from_step"),
        )
    if event.kind == "FitHandedOver":
        return replace(attempt, worker=data.get("worker", ""))
    if event.kind == "CheckpointSaved":
        return replace(attempt, checkpoint_step=data.get("step"))
    if event.kind in _ENDINGS:
        return replace(
            attempt,
            ended_at=event.at,
            outcome=event.kind,
            cause=data.get("cause"),
            sentence=data.get("sentence") or data.get("reason"),
        )
    return attempt
