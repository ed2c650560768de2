"""An event as people read it: what happened to whom, in one line, alike wherever it is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from daemon.views.words import number, span
from store.records import EventRow

WORDS_MAX = 300
# What happens by the thousand: told where a fit or a plan is looked at, too much for one list of everything.
QUIET = frozenset(
    (
        "JobPlanned", "FitClaimed", "FitProgressed", "CheckpointSaved", "TargetRanked", "LeakFound",
        "FeaturesSelected", "RouteChosen",
    )
)  # fmt: skip
TONES = {
    "FitSucceeded": "good",
    "PlanCompleted": "good",
    "ModelPromoted": "good",
    "FitFailed": "bad",
    "PlanRejected": "bad",
    "LeaseExpired": "bad",
    "FitUnavailable": "bad",
    "FitStarted": "busy",
    "FitHeld": "wait",
    "WorkPaused": "wait",
    "HostDraining": "wait",
    "HostRemoved": "bad",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventTold:
    """One event for people.

    Attributes:
        about: the fit, job or plan by its name, else the stream.
        words: what there is to say besides the kind; may be empty.
        tone: good, bad, busy, wait or plain.
        quiet: it is one of thousands.
    """

    seq: int
    at: datetime
    kind: str
    about: str
    words: str
    plan: str | None
    fit: str | None
    tone: str
    quiet: bool


def event_told(event: EventRow, fit_name: str | None = None) -> EventTold:
    """Return an event in words; never fails, whatever the payload holds."""
    tell = _WORDS.get(event.kind, _plain)
    words = tell(event.data)
    if event.attempt and event.attempt > 1:
        words = f"attempt {event.attempt}{f', {words}' if words else ''}"
    if event.actor not in ("", "daemon", "store") and event.kind in _BY_PEOPLE:
        words = f"by {event.actor}{f': {words}' if words else ''}"
    return EventTold(
        seq=event.seq,
        at=event.at,
        kind=event.kind,
        about=fit_name or _about(event),
        words=words[:WORDS_MAX],
        plan=event.plan,
        fit=event.fit,
        tone=TONES.get(event.kind, "plain"),
        quiet=event.kind in QUIET,
    )


def _about(event: EventRow) -> str:
    named = event.data.get("name") or event.data.get("target") or event.data.get("host")
    return str(event.job or event.fit or event.plan or named or event.stream)


def _plain(data: Mapping[str, Any]) -> str:
    """The short plain values of a payload, by name."""
    told = ((key, value) for key, value in data.items() if isinstance(value, (str, int, float)))
    return ", ".join(f"{key} {value}" for key, value in told if value != "" and len(str(value)) <= 80)


def _said(*keys: str) -> Callable[[Mapping[str, Any]], str]:
    """Tell the first of these that is there."""
    return lambda data: next((str(data[key]) for key in keys if data.get(key)), "")


def _seconds(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return span(value) if isinstance(value, (int, float)) else ""


def _started(data: Mapping[str, Any]) -> str:
    step = data.get("resumed_from_step")
    return f"on {data.get('device_used', '?')}{f', from step {step}' if step is not None else ''}"


def _progressed(data: Mapping[str, Any]) -> str:
    loss = data.get("valid_loss")
    told = f", validation loss {number(loss)}" if isinstance(loss, (int, float)) else ""
    return f"step {data.get('step')} of {data.get('steps_total')}{told}"


def _succeeded(data: Mapping[str, Any]) -> str:
    metrics = data.get("metrics")
    score = metrics.get("score") if isinstance(metrics, Mapping) else None
    told = (
        f"{metrics.get('metric', '')} {score:+.3f}, " if isinstance(score, (int, float)) and metrics else ""
    )
    return f"{told}{_seconds(data, 'seconds')}"


def _failed(data: Mapping[str, Any]) -> str:
    again = "; it is tried again" if data.get("retry") else ""
    return f"{data.get('cause', '')}: {data.get('sentence', '')}{again}"


def _expired(data: Mapping[str, Any]) -> str:
    return f"{data.get('cause', '')}, {_seconds(data, 'lost_seconds')} of work lost"


def _accepted(data: Mapping[str, Any]) -> str:
    return f"{data.get('jobs')} jobs, {data.get('fits')} fits from {data.get('source', '')}"


def _counted(data: Mapping[str, Any]) -> str:
    words = ("succeeded", "failed", "unavailable", "cancelled")
    return ", ".join(f"{data[word]} {word}" for word in words if data.get(word))


def _scope(data: Mapping[str, Any]) -> str:
    scope = ", ".join(f"{word} {data[word]}" for word in ("plan", "stage", "host") if data.get(word))
    reason = data.get("reason")
    return f"{scope or 'all work'}{f': {reason}' if reason else ''}"


def _draining(data: Mapping[str, Any]) -> str:
    reason = str(data.get("reason") or "")
    return "; ".join(filter(None, (reason, "what runs is given back" if data.get("give_back") else "")))


_BY_PEOPLE = frozenset(
    (
        *("FitRetried", "FitCancelled", "FitHeld", "FitHoldLifted", "WorkPaused", "WorkResumed"),
        *("HostDraining", "HostReturned", "HostRemoved"),
    )
)
_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "PlanAccepted": _accepted,
    "PlanRejected": _said("sentence"),
    "PlanCompleted": _counted,
    "FitUnavailable": _said("reason"),
    "FitClaimed": _said("worker"),
    "FitHandedOver": _said("worker"),
    "FitStarted": _started,
    "FitProgressed": _progressed,
    "CheckpointSaved": lambda data: f"step {data.get('step')}",
    "FitSucceeded": _succeeded,
    "FitFailed": _failed,
    "FitReleased": _said("cause"),
    "LeaseExpired": _expired,
    "FitRetried": _said("reason"),
    "FitCancelled": _said("reason"),
    "FitHeld": _said("reason"),
    "FitHoldLifted": _said("reason"),
    "WorkPaused": _scope,
    "WorkResumed": _scope,
    "ModelPromoted": lambda data: f"is {data.get('alias')} from now on",
    "DaemonStarted": lambda data: f"before: {data.get('previous_stop') or 'nothing'}",
    "DaemonStopped": _said("cause"),
    "HostDraining": _draining,
    "HostReturned": _said("reason"),
    "HostRemoved": _said("reason"),
}
