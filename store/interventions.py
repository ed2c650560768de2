"""What a person may do to fits and to the work as a whole: cancel, retry, hold, pause; each is an event."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal

from store import log
from store.awaited import awaited_of, short_group
from store.codec import json_of
from store.errors import EventIdReused, NotFound, WrongState
from store.events import FitCancelled, FitEvent, FitHeld, FitHoldLifted, FitRetried, WorkPaused, WorkResumed
from store.ids import PAUSE_STREAM, fit_stream, pause_scope
from store.projections import read_columns
from store.state import FINAL_STATES, LOST_STATES, FitState, PauseState, PlanState
from store.turn import Said, Turn

Word = Literal["cancel", "retry", "hold", "release"]
RETRYABLE = LOST_STATES
NO_IDS: Mapping[str, bytes] = {}
_EVENTS: dict[Word, type[FitCancelled | FitRetried | FitHeld | FitHoldLifted]] = {
    "cancel": FitCancelled,
    "retry": FitRetried,
    "hold": FitHeld,
    "release": FitHoldLifted,
}


def intervene(
    turn: Turn, word: Word, fit_ids: Collection[str], ids: Mapping[str, bytes], *, reason: str, actor: str
) -> dict[str, int | WrongState | NotFound]:
    """Do one thing to many fits and return for each the seq of its event, or why it was not done.

    Every fit has its event id in `ids`, which may know more fits: those that come back with a retry.
    """
    _prime(turn, fit_ids)
    answers: dict[str, int | WrongState | NotFound] = _said_before(turn, word, fit_ids, ids)
    said: list[Said] = []
    for fit_id in fit_ids:
        try:
            if fit_id in answers:
                continue
            if word == "retry":
                answers[fit_id] = _retried(turn, fit_id, ids, reason=reason, actor=actor)
            else:
                fit = turn.fit(fit_id)
                said.append(Said(fit, [_told(word, fit, reason)], actor, event_id=ids[fit_id]))
        except (WrongState, NotFound) as error:
            answers[fit_id] = error
    if said:
        recorded = turn.tell_all(said)
        answers |= {one.fit.fit_id: event.seq for one, event in zip(said, recorded, strict=True)}
    return answers


def _prime(turn: Turn, fit_ids: Collection[str]) -> None:
    marks = ", ".join("?" * len(fit_ids))
    sql = f"SELECT {read_columns(FitState)} FROM fit WHERE fit_id IN ({marks})"
    turn.rows.prime(FitState, turn.query(sql, list(fit_ids)))


def _said_before(
    turn: Turn, word: Word, fit_ids: Collection[str], ids: Mapping[str, bytes]
) -> dict[str, int | WrongState | NotFound]:
    """Return the seqs of what is in the log under these ids already; raises EventIdReused."""
    found = {one.event_id: one for one in log.by_ids(turn.tx, [ids[fit_id] for fit_id in fit_ids])}
    answers: dict[str, int | WrongState | NotFound] = {}
    for fit_id in fit_ids:
        one = found.get(ids[fit_id])
        if one is not None:
            if one.stream != fit_stream(fit_id) or not isinstance(one.event, _EVENTS[word]):
                raise EventIdReused(event_id=one.event_id, seq=one.seq)
            answers[fit_id] = one.seq
    return answers


def _retried(turn: Turn, fit_id: str, ids: Mapping[str, bytes], *, reason: str, actor: str) -> int:
    """Retry one of many; one that came back with another of them in this turn is answered with its event."""
    try:
        return retry(turn, fit_id, reason=reason, actor=actor, ids=ids)
    except WrongState:
        for one in log.by_ids(turn.tx, [ids[fit_id]]):
            return one.seq
        raise


def _told(word: Word, fit: FitState, reason: str) -> FitEvent:
    """Return the event of a word; raises WrongState where the fit does not take it."""
    if word == "release":
        if fit.held is None:
            raise WrongState(fit=fit.fit_id, state=f"{fit.state} and not held", wanted="held")
        return FitHoldLifted(reason=reason)
    if fit.state in FINAL_STATES:
        raise WrongState(fit=fit.fit_id, state=fit.state, wanted="not final")
    if word == "cancel":
        return FitCancelled(reason=reason)
    if fit.held is not None:
        raise WrongState(fit=fit.fit_id, state="held", wanted="not held already")
    return FitHeld(reason=reason)


def cancel(turn: Turn, fit_id: str, *, reason: str, actor: str) -> int:
    """Cancel a fit that is not final; a lease on it ends now. Raises NotFound, WrongState."""
    fit = turn.fit(fit_id)
    return turn.tell(fit, [_told("cancel", fit, reason)], actor=actor)[0].seq


def retry(turn: Turn, fit_id: str, *, reason: str, actor: str, ids: Mapping[str, bytes] = NO_IDS) -> int:
    """Make a fit ready again, with those it needs and those that were given up because of it.

    A fit whose needs have failed for good would be ready for ever. Of the fits it is made from, those that
    were lost are tried again only where too few are left. A fit that was made without this one stays as it
    is, and one that was given up comes back once enough can succeed. Where the plan has too few for it, it
    is given up again.
    Raises NotFound, WrongState.
    """
    fit = turn.fit(fit_id)
    if fit.state not in RETRYABLE:
        raise WrongState(fit=fit_id, state=fit.state, wanted="failed, unavailable or cancelled")
    event_id = _unused(turn, ids.get(fit_id))
    seq = turn.tell(fit, [FitRetried(reason=reason)], actor=actor, event_id=event_id)[0].seq
    name = f"{fit.job_id}/{fit.family}"
    _retry_lost(turn, unmet_needs(turn, fit), ids, reason=f"{name} needs it", actor=actor)
    for group in awaited_of(json_of(fit.awaits or "[]")):
        if short_group([group], turn.is_lost) is not None:
            members = map(turn.fit, group.fits)
            _retry_lost(turn, members, ids, reason=f"{name} is made from it", actor=actor)
    short = turn.shortage(fit)
    if short is not None and fit.state == "ready":
        turn.give_up(fit, short)
    if fit.state not in LOST_STATES:
        _retry_lost(turn, given_up_for(turn, fit), ids, reason=f"{name} is tried again", actor=actor)
    return seq


def _unused(turn: Turn, event_id: bytes | None) -> bytes | None:
    """Return an id unless it is in the log: a fit may come back with others more than once."""
    return None if event_id is None or any(log.by_ids(turn.tx, [event_id])) else event_id


def _retry_lost(
    turn: Turn, fits: Iterable[FitState], ids: Mapping[str, bytes], *, reason: str, actor: str
) -> None:
    """Retry those of some fits that are lost still: one may have come back with another."""
    for one in fits:
        if one.state in LOST_STATES:
            retry(turn, one.fit_id, reason=reason, actor=actor, ids=ids)


def unmet_needs(turn: Turn, fit: FitState) -> list[FitState]:
    """Return the fits that this one depends on and that have ended without success."""
    found = turn.query("SELECT depends_on FROM fit WHERE fit_id = ?", (fit.fit_id,))[0][0]
    needs = [turn.fit(fit_id) for fit_id in json_of(found or "[]")]
    return [one for one in needs if one.state in RETRYABLE]


def given_up_for(turn: Turn, fit: FitState) -> Iterator[FitState]:
    """Yield the fits that were made unavailable because this one did not succeed, and that may run now."""
    for fit_id in (*json_of(fit.dependents or "[]"), *json_of(fit.followers or "[]")):
        one = turn.fit(fit_id)
        if one.state == "unavailable" and one.cause == "dependency" and turn.shortage(one) is None:
            yield one


def hold(turn: Turn, fit_id: str, *, reason: str, actor: str) -> int:
    """Hold a fit back from being claimed. Raises NotFound, WrongState."""
    fit = turn.fit(fit_id)
    return turn.tell(fit, [_told("hold", fit, reason)], actor=actor)[0].seq


def lift_hold(turn: Turn, fit_id: str, *, reason: str, actor: str) -> int:
    """Lift the hold on a fit. Raises NotFound, WrongState."""
    fit = turn.fit(fit_id)
    return turn.tell(fit, [_told("release", fit, reason)], actor=actor)[0].seq


def pause(turn: Turn, word: WorkPaused, *, actor: str) -> int | None:
    """Append a pause unless its scope is paused already; raises NotFound for an unknown plan."""
    if word.plan is not None and turn.rows.get(PlanState, word.plan) is None:
        raise NotFound(noun="plan", name=word.plan)
    if turn.rows.get(PauseState, pause_scope(word.plan, word.stage, word.host)) is not None:
        return None
    return turn.append_next(PAUSE_STREAM, [word], actor=actor, plan=word.plan)[0].seq


def resume(turn: Turn, word: WorkResumed, *, actor: str) -> int | None:
    """Append the end of a pause; None when its scope is not paused."""
    if turn.rows.get(PauseState, pause_scope(word.plan, word.stage, word.host)) is None:
        return None
    return turn.append_next(PAUSE_STREAM, [word], actor=actor, plan=word.plan)[0].seq
