"""What people are told of: the facts of the event log that are worth a message, in the words of `status`.

A notice is made from its event alone and has the event's id: however often it is sent, it is the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from daemon.views.words import counted, counts_words
from store.errors import NotFound
from store.events import FitFailed, PlanCompleted, PlanRefused, WorkPaused
from store.moments import iso_utc
from store.reading import Reader
from store.reasons import pause_words
from store.records import EventRow, PauseRow
from store.retries import DISK_FULL

DISK_LOW = "disk low"  # how the reason of a pause begins that the disk floor has caused
QUIET_SECONDS = {"disk_low": 3600.0}  # kinds that come in swarms: one in so long is told
EVENT_KINDS = (FitFailed.kind, PlanCompleted.kind, PlanRefused.kind, WorkPaused.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to people.

    Attributes:
        id: the same for every repetition.
        kind: one of `settings_reading.NOTICES`, or "test".
        at: when it happened.
        host: who tells it.
        sentence: what happened, in one line.
        next: the command, or what else there is to do.
        seq: of its event; None where it is about a state.
        about: plan, job, fit and attempt, as far as it has them.
        data: what its event holds besides.
    """

    id: str
    kind: str
    at: datetime
    host: str
    sentence: str
    next: str
    seq: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the message as JSON values; `text` is what a chat shows, which wants that name."""
        about = {name: self.about.get(name) for name in ("plan", "job", "fit", "attempt")}
        return {
            "v": 1,
            "id": self.id,
            "kind": self.kind,
            "at": iso_utc(self.at),
            "host": self.host,
            "text": f"{self.sentence}\nnext: {self.next}" if self.next else self.sentence,
            "sentence": self.sentence,
            "next": self.next,
            "seq": self.seq,
            **about,
            "data": dict(self.data),
        }


def notice_of(event: EventRow, reader: Reader, *, host: str) -> Notice | None:
    """Return what people are told of an event; None for an event that is no news to them."""
    told = _TELLERS[event.kind](event, reader) if event.kind in _TELLERS else None
    if told is None:
        return None
    kind, sentence, then = told
    return Notice(
        id=event.event_id,
        kind=kind,
        at=event.at,
        host=host,
        sentence=" ".join(sentence.split()),
        next=then,
        seq=event.seq,
        about={"plan": event.plan, "job": event.job, "fit": event.fit, "attempt": event.attempt},
        data=event.data,
    )


_Told = tuple[str, str, str] | None  # kind, sentence, what to do


def _of_failure(event: EventRow, reader: Reader) -> _Told:
    name = _fit_name(event, reader)
    if event.data.get("cause") == DISK_FULL:
        return (
            "disk_low",
            f"{DISK_LOW}: fit {name} stopped: {event.data.get('sentence')}",
            "trainwright doctor",
        )
    if event.data.get("retry"):
        return None
    where = str(event.data.get("where") or "").partition("\n")[0]
    place = f" ({where})" if where else ""
    return "fit_failed", f"fit {name} failed: {event.data.get('sentence')}{place}", f"trainwright why {name}"


def _of_completion(event: EventRow, reader: Reader) -> _Told:
    data = event.data
    counts = counts_words(
        succeeded=data.get("succeeded", 0),
        failed=data.get("failed", 0),
        unavailable=data.get("unavailable", 0),
        cancelled=data.get("cancelled", 0),
    )
    then = "trainwright jobs --failed" if data.get("failed") else "trainwright models ls"
    return "plan_finished", f"plan {event.plan} is finished: {_size(event, reader)}{counts}", then


def _of_rejection(event: EventRow, _reader: Reader) -> _Told:
    data = event.data
    place = f" ({data['place']})" if data.get("place") else ""
    return (
        "plan_rejected",
        f"plan {data.get('name')} rejected: {data.get('sentence')}{place}",
        data.get("fix", ""),
    )


def _of_pause(event: EventRow, _reader: Reader) -> _Told:
    scope = {name: event.data.get(name) for name in ("plan", "stage", "host")}
    pause = PauseRow(**scope, reason=event.data.get("reason", ""), at=event.at, actor=event.actor)
    if pause.plan is None:
        low = pause.reason.startswith(DISK_LOW)
        return ("disk_low", pause_words(pause), "trainwright doctor") if low else None
    host = f" --host {pause.host}" if pause.host else ""
    stage = f" --stage {pause.stage}" if pause.stage else ""
    return "plan_paused", pause_words(pause), f"trainwright resume --plan {pause.plan}{stage}{host}"


_TELLERS: Mapping[str, Callable[[EventRow, Reader], _Told]] = {
    FitFailed.kind: _of_failure,
    PlanCompleted.kind: _of_completion,
    PlanRefused.kind: _of_rejection,
    WorkPaused.kind: _of_pause,
}


def _fit_name(event: EventRow, reader: Reader) -> str:
    """Return what the fit is called; its id, where its plan has left the tables since."""
    try:
        return reader.fit(event.fit or "").name
    except NotFound:
        return f"{event.job}/{event.fit}"


def _size(event: EventRow, reader: Reader) -> str:
    try:
        plan = reader.plan_row(event.plan or "")
    except NotFound:
        return ""
    return f"{counted(plan.jobs, 'job')}, {counted(plan.fits, 'fit')}: "
