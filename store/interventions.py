"""What a person may do to fits and to the work as a whole: cancel, retry, hold, pause; each is an event."""

from __future__ import annotations

from store.codec import json_of
from store.errors import NotFound, WrongState
from store.events import FitCancelled, FitHeld, FitHoldLifted, FitRetried, WorkPaused, WorkResumed
from store.ids import PAUSE_STREAM, pause_scope
from store.state import FINAL_STATES, FitState, PauseState, PlanState
from store.turn import Turn

RETRYABLE = ("failed", "unavailable", "cancelled")


def cancel(turn: Turn, fit_id: str, *, reason: str, actor: str) -> int:
    """Cancel a fit that is not final; a lease on it ends now. Raises NotFound, WrongState."""
    fit = turn.fit(fit_id)
    if fit.state in FINAL_STATES:
        raise WrongState(fit=fit_id, state=fit.state, wanted="not final")
    return turn.tell(fit, [FitCancelled(reason=reason)], actor=actor)[0].seq


def retry(turn: Turn, fit_id: str, *, reason: str, actor: str) -> int:
    """Make a fit ready again, with those it needs and those that were given up because of it.

    A fit whose needs have failed for good would be ready for ever. Raises NotFound, WrongState.
    """
    fit = turn.fit(fit_id)
    if fit.state not in RETRYABLE:
        raise WrongState(fit=fit_id, state=fit.state, wanted="failed, unavailable or cancelled")
    seq = turn.tell(fit, [FitRetried(reason=reason)], actor=actor)[0].seq
    for needed in unmet_needs(turn, fit):
        retry(turn, needed.fit_id, reason=f"{fit.job_id}/{fit.family} needs it", actor=actor)
    for dependent in given_up_for(turn, fit):
        retry(turn, dependent.fit_id, reason=f"{fit.job_id}/{fit.family} is tried again", actor=actor)
    return seq


def unmet_needs(turn: Turn, fit: FitState) -> list[FitState]:
    """Return the fits that this one depends on and that have ended without success."""
    found = turn.query("SELECT depends_on FROM fit WHERE fit_id = ?", (fit.fit_id,))[0][0]
    needs = [turn.fit(fit_id) for fit_id in json_of(found or "[]")]
    return [one for one in needs if one.state in RETRYABLE]


def given_up_for(turn: Turn, fit: FitState) -> list[FitState]:
    """Return the fits that were made unavailable because this one did not succeed."""
    dependents = [turn.fit(fit_id) for fit_id in json_of(fit.dependents or "[]")]
    return [one for one in dependents if one.state == "unavailable" and one.cause == "dependency"]


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
