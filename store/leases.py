"""Leases: who may run a fit, until when, and whose word about it counts.

The lease's time decides when a fit may be taken over; only the fence decides who may write. A fence is the
stream version of the `FitClaimed` event: it grows with every claim and is rebuilt from the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from store import log
from store.awaited import Part, awaited_ids, awaited_of
from store.choosing import FIT_WIDTH, Wanted, chosen_rows
from store.codec import json_of
from store.database import Row, Statement
from store.errors import LeaseLost
from store.events import FitClaimed, FitEvent, FitFailed
from store.ids import fit_stream
from store.labels import labels_of
from store.moments import MICROSECONDS, moment_of
from store.projections import read_columns
from store.ready import LOCK
from store.records import Checkpoint, Claim, Failure
from store.retries import RetryPolicy
from store.state import LEASED_STATES, FitState, PlanState, State
from store.turn import Said, Turn, fit_questions, prime_fit

LEASE_COLUMNS = ("fit_id", "fence", "worker", "renewed_at", "expires_at")

_PARTS = "SELECT job_id, family, bundle, bundle_sha256 FROM fit WHERE state = 'succeeded' AND fit_id IN"


def claim(
    turn: Turn,
    worker: str,
    *,
    wanted: Wanted,
    lease_seconds: float,
    asked_before: int = 0,
    ended: Mapping[str, int] | None = None,
) -> tuple[Claim, ...]:
    """Lease ready fits, most urgent first, as many as the room holds together.

    The turn was opened with `choosing.opening`, behind so many other questions; `ended` counts by plan the
    fits that it has ended.
    """
    chosen = chosen_rows(turn, wanted, turn.answers[asked_before:], ended=ended)
    if not chosen:
        return ()
    fits = turn.rows.prime(FitState, [row[:FIT_WIDTH] for row in chosen])
    left_behind = [fit.fit_id for fit, row in zip(fits, chosen, strict=True) if row[-1]]
    for fit_id in left_behind:
        turn.tx.later("DELETE FROM lease WHERE fit_id = ?", (fit_id,))
    words = [
        Said(
            fit, [FitClaimed(worker=worker, attempt=fit.attempt + 1, lease_seconds=lease_seconds)], worker,
            fit.attempt + 1,
        )
        for fit in fits
    ]  # fmt: skip
    turn.tell_all(words)
    expires_at = turn.now + micros(lease_seconds)
    leases = [(fit.fit_id, fit.fence, worker, turn.now, expires_at) for fit in fits]
    turn.tx.insert("lease", LEASE_COLUMNS, leases)
    texts: dict[str, Any] = {}
    return tuple(
        claim_of(fit, row[FIT_WIDTH:], texts, lease_seconds, expires_at, parts_of(turn, fit))
        for fit, row in zip(fits, chosen, strict=True)
    )


def renewal(held: Claim) -> Statement:
    """Return the question that `renew` needs answered at the turn's opening."""
    return f"SELECT fence, state, worker FROM fit WHERE fit_id = ?{LOCK}", (held.fit_id,)


def renew(turn: Turn, held: Claim) -> datetime:
    """Extend a lease, even past its end as long as nobody took it back; raises LeaseLost."""
    found = turn.answers[0]
    fence, state, worker = found[0] if found else (0, "unknown", None)
    if fence != held.fence or state not in LEASED_STATES or worker != held.worker:
        raise LeaseLost(fit=held.fit_id, fence=held.fence, current=fence, state=state, worker=worker)
    expires_at = turn.now + micros(held.lease_seconds)
    turn.tx.later(
        "UPDATE lease SET renewed_at = ?, expires_at = ? WHERE fit_id = ? AND fence = ?",
        (turn.now, expires_at, held.fit_id, held.fence),
    )
    return moment_of(expires_at)


def questions(held: Claim, event_id: bytes | None) -> tuple[Statement, ...]:
    """Return the questions that a word about a fit needs answered at the turn's opening."""
    of_fit = fit_questions(held.fit_id, held.plan_id)
    return of_fit if event_id is None else (*of_fit, log.by_event_id(event_id))


def say(turn: Turn, held: Claim, word: FitEvent, *, event_id: bytes | None = None) -> int:
    """Append a worker's word and return its seq; raises LeaseLost when its lease has ended."""
    prime_fit(turn)
    before = _said(turn, held, word, event_id)
    if before is not None:
        return before.seq
    fit = require_held(turn, held)
    return turn.tell(fit, [word], actor=held.worker, event_id=event_id)[0].seq


def fits_of(claims: Sequence[Claim]) -> tuple[Statement, ...]:
    """Return the questions that words about several fits need answered at the turn's opening.

    They are the fits, locked in one order by all who ask, and their plans.
    """
    fits = sorted({held.fit_id for held in claims})
    plans = sorted({held.plan_id for held in claims})
    return (
        (f"{_some(FitState, 'fit_id', len(fits))} ORDER BY fit_id{LOCK}", fits),
        (_some(PlanState, "plan_id", len(plans)), plans),
    )


def say_all(turn: Turn, words: Sequence[tuple[Claim, FitEvent]]) -> tuple[int | LeaseLost, ...]:
    """Append one worker's words about several fits; each is answered with its seq, or why it was refused.

    The turn's first two answers are those to `fits_of`.
    """
    prime_fit(turn)
    said: list[Said] = []
    answers: list[LeaseLost | None] = []
    for held, word in words:
        try:
            said.append(Said(require_held(turn, held), [word], held.worker))
            answers.append(None)
        except LeaseLost as lost:
            answers.append(lost)
    recorded = iter(turn.tell_all(said) if said else ())
    return tuple(next(recorded).seq if answer is None else answer for answer in answers)


def end_and_claim(
    turn: Turn, ended: Sequence[tuple[Claim, FitEvent]], worker: str, *, wanted: Wanted, lease_seconds: float
) -> tuple[tuple[int | LeaseLost, ...], tuple[Claim, ...]]:
    """End fits and lease the next: the answers of `say_all`, and the claims.

    The turn was opened with `fits_of`, if any have ended, and then with `choosing.opening`.
    """
    said = say_all(turn, ended) if ended else ()
    taken = [held for (held, _), answer in zip(ended, said, strict=True) if isinstance(answer, int)]
    claims = claim(
        turn,
        worker,
        wanted=wanted,
        lease_seconds=lease_seconds,
        asked_before=len(fits_of([held for held, _ in ended])) if ended else 0,
        ended=Counter(held.plan_id for held in taken),
    )
    return said, claims


def _some(kind: type[State], key: str, count: int) -> str:
    return f"SELECT {read_columns(kind)} FROM {kind.TABLE} WHERE {key} IN ({', '.join('?' * count)})"


def fail(
    turn: Turn, held: Claim, failure: Failure, *, policy: RetryPolicy, event_id: bytes | None = None
) -> FitFailed:
    """Append a failure, decide whether it is tried again, and return the event; raises LeaseLost."""
    prime_fit(turn)
    word = FitFailed(cause=failure.cause, sentence=failure.sentence, where=failure.where)
    before = _said(turn, held, word, event_id)
    if before is not None and isinstance(before.event, FitFailed):
        return before.event
    fit = require_held(turn, held)
    word = policy.verdict(fit, failure, now=turn.now)
    turn.tell(fit, [word], actor=held.worker, event_id=event_id)
    return word


def require_held(turn: Turn, held: Claim) -> FitState:
    """Return the fit's state if the claim is current and was not handed over; raises LeaseLost."""
    fit = turn.rows.known(FitState, held.fit_id)
    current = fit is not None and fit.fence == held.fence and fit.state in LEASED_STATES
    if fit is None or not current or fit.worker != held.worker:
        raise LeaseLost(
            fit=held.fit_id,
            fence=held.fence,
            current=fit.fence if fit else 0,
            state=fit.state if fit else "unknown",
            worker=fit.worker if fit else None,
        )
    return fit


def _said(turn: Turn, held: Claim, word: FitEvent, event_id: bytes | None) -> log.Recorded | None:
    """Return the event an id was recorded as before, or None; raises EventIdReused."""
    if event_id is None:
        return None
    return log.same_event(turn.answers[2], fit_stream(held.fit_id), word.kind)


def parts_of(turn: Turn, fit: FitState) -> tuple[Part, ...]:
    """Return those of the fits it is made from that have succeeded, in the order of the plan.

    All of them have ended, and no success is ever undone: nobody can change them meanwhile.
    """
    fit_ids = awaited_ids(awaited_of(json_of(fit.awaits))) if fit.awaits is not None else ()
    if not fit_ids:
        return ()
    rows = turn.tx.query(f"{_PARTS} ({', '.join('?' * len(fit_ids))}) ORDER BY ordinal", fit_ids)
    return tuple(
        Part(name=f"{job}/{family}", family=family, bundle=bundle, sha256=sha256)
        for job, family, bundle, sha256 in rows
    )


def claim_of(
    fit: FitState,
    extras: Row,
    texts: dict[str, Any],
    lease_seconds: float,
    expires_at: int,
    parts: tuple[Part, ...],
) -> Claim:
    """Return a claim with all a child needs; equal texts of a batch are read once."""
    record, data, training, other_targets = (
        texts[text] if text in texts else texts.setdefault(text, json_of(text)) for text in extras[:4]
    )
    features = record.get("features")
    return Claim(
        fit_id=fit.fit_id,
        plan_id=fit.plan_id,
        job_id=fit.job_id,
        family=fit.family,
        stage=fit.stage,
        target=fit.target,
        symbol=fit.symbol,
        route=fit.route,
        training_type=fit.training_type,
        priority=fit.priority,
        features=tuple(features) if features is not None else None,
        job=record,
        data=data,
        training=training,
        worker=str(fit.worker),
        attempt=fit.attempt,
        fence=fit.fence,
        lease_seconds=lease_seconds,
        lease_until=moment_of(expires_at),
        checkpoint=_checkpoint(fit),
        cores=fit.cores,
        gpus=fit.gpus,
        memory_bytes=fit.memory_bytes,
        parts=parts,
        other_targets=tuple(other_targets),
        labels=labels_of(fit.labels),
    )


def _checkpoint(fit: FitState) -> Checkpoint | None:
    if fit.checkpoint_step is None or fit.checkpoint_path is None:
        return None
    return Checkpoint(
        step=fit.checkpoint_step,
        path=fit.checkpoint_path,
        attempt=fit.checkpoint_attempt or 0,
        fence=fit.checkpoint_fence or 0,
    )


def micros(seconds: float) -> int:
    """Return a length of time as the projections keep it."""
    return round(seconds * MICROSECONDS)
