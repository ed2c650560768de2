"""What a person may do to fits and to the work as a whole: cancel, retry, hold, pause; each is an event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from store.awaited import awaited_of, short_group
from store.codec import json_of
from store.errors import NotFound, WrongState
from store.events import FitCancelled, FitHeld, FitHoldLifted, FitRetried, WorkPaused, WorkResumed
from store.ids import PAUSE_STREAM, pause_scope
from store.state import FINAL_STATES, LOST_STATES, FitState, PauseState, PlanState
from store.turn import Turn

RETRYABLE = LOST_STATES


def cancel(turn: Turn, fit_id: str, *, reason: str, actor: str) -> int:
    """Cancel a fit that is not final; a lease on it ends now. Raises NotFound, WrongState."""
    fit = turn.fit(fit_id)
    if fit.state in FINAL_STATES:
        raise WrongState(fit=fit_id, state=fit.state, wanted="not final")
    return turn.tell(fit, [FitCancelled(reason=reason)], actor=actor)[0].seq


def retry(turn: Turn, fit_id: str, *, reason: str, actor: str) -> int:
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
    seq = turn.tell(fit, [FitRetried(reason=reason)], actor=actor)[0].seq
    name = f"{fit.job_id}/{fit.family}"
    _retry_lost(turn, unmet_needs(turn, fit), reason=f"{name} needs it", actor=actor)
    for group in awaited_of(json_of(fit.awaits or "[]")):
        if short_group([group], turn.is_lost) is not None:
            _retry_lost(turn, map(turn.fit, group.fits), reason=f"{name} is made from it", actor=actor)
    short = turn.shortage(fit)
    if short is not None and fit.state == "ready":
        turn.give_up(fit, short)
    if fit.state not in LOST_STATES:
        _retry_lost(turn, given_up_for(turn, fit), reason=f"{name} is tried again", actor=actor)
    return seq


def _retry_lost(turn: Turn, fits: Iterable[FitState], *, reason: str, actor: str) -> None:
    """Retry those of some fits that are lost still: one may have come back with another."""
    for one in fits:
        if one.state in LOST_STATES:
            retry(turn, one.fit_id, reason=reason, actor=actor)


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
    if fit.state in FINAL_STATES or fit.held is not None:
        wanted = "not final" if fit.state in FINAL_STATES else "not held already"
        raise WrongState(fit=fit_id, state="held" if fit.held is not None else fit.state, wanted=wanted)
    return turn.tell(fit, [FitHeld(reason=reason)], actor=actor)[0].seq


def lift_hold(turn: Turn, fit_id: str, *, reason: str, actor: str) -> int:
    """Lift the hold on a fit. Raises NotFound, WrongState."""
    fit = turn.fit(fit_id)
    if fit.held is None:
        raise WrongState(fit=fit_id, state=f"{fit.state} and not held", wanted="held")
    return turn.tell(fit, [FitHoldLifted(reason=reason)], actor=actor)[0].seq


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
