"""One write transaction of the store: events appended, states folded, leases ended, plans completed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from store import log
from store.awaited import Awaited, awaited_of, short_group, shortage_words
from store.codec import json_of
from store.database import Row, Statement, Tx
from store.errors import ConcurrentAppend, NotAlone, NotFound
from store.events import Event, FitEvent, FitUnavailable, PlanCompleted
from store.folding import fold
from store.ids import fit_stream, plan_stream
from store.log import Draft, Recorded
from store.projections import LiveRows, by_key
from store.ready import ALONE, BESIDE_OTHERS, LOCK, NOW
from store.state import FINAL_STATES, LEASED_STATES, LOST_STATES, FitState, PlanState

GIVING_UP = "dependencies"  # who says that a fit waits in vain


class Said(NamedTuple):
    """Words about a fit: who says them, under which event ids and attempt, if those are given.

    `event_id` is that of the first word, `event_ids` are those of all.
    """

    fit: FitState
    events: Sequence[FitEvent]
    actor: str
    attempt: int | None = None
    event_id: bytes | None = None
    event_ids: Sequence[bytes] | None = None


class Turn:
    """A write transaction at a moment `now` (microseconds since the epoch).

    What is asked at its opening travels with its beginning: `answers` holds the rows, question by question.
    Alone on the log, a turn numbers its events itself. A `shared` turn, on Postgres, works beside others: it
    changes only fits it has locked, and its events are numbered with its commit; what it may not do raises
    NotAlone, and is done anew by a turn that is alone.
    """

    def __init__(
        self, tx: Tx, *, now: int | None = None, asked: Sequence[Statement] = (), shared: bool = False
    ) -> None:
        self.tx = tx
        self._unsent = log.Unsent() if shared else None
        self._behind = 0  # statements between the words and the commit
        self._moment = tx.clock if now is None else str(now)  # always the same text: engines know it again
        self._meant = ((NOW, self._moment), *(BESIDE_OTHERS if shared else ALONE))
        first = f"SELECT {self._moment}" if shared else f"SELECT {self._moment}, {log.HEAD}"
        questions = [(self._worded(sql), parameters) for sql, parameters in asked]
        opening, *self.answers = tx.queries([(first, ()), *questions])
        self.now = int(opening[0][0])
        self.rows = LiveRows(tx, shared=shared)
        self._head = log.GENESIS_HEAD if shared else log.head_of(opening[0][1:])

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows; the marks of `store.ready` stand for the moment and for the turn's locks."""
        return self.tx.query(self._worded(sql), parameters)

    def queries(self, asked: Sequence[Statement]) -> list[list[Row]]:
        """Return all rows of several questions, in one round trip, worded as in `query`."""
        return self.tx.queries([(self._worded(sql), parameters) for sql, parameters in asked])

    def flush(self) -> None:
        """Write the folded states and the words; the last thing before the commit."""
        self.rows.flush()
        if self._unsent is not None:
            self._unsent.send(self.tx)
            self._behind = self.rows.count_plans()

    def settled(self, seq: int) -> int:
        """Return the real seq of an event of this turn, once it has committed."""
        if self._unsent is None:
            return seq
        if self._unsent.first_seq is None:
            self._unsent.receive(self.tx.last_answers, behind=self._behind)
        return self._unsent.settled(seq)

    def append(
        self, drafts: Sequence[Draft], *, actor: str, correlation: str | None = None
    ) -> tuple[Recorded, ...]:
        """Append events whose versions follow from rows read in this turn, and fold them."""
        told: dict[str, Any] = {"actor": actor, "recorded_at": self.now, "correlation": correlation}
        if self._unsent is not None:
            recorded = self._unsent.add(drafts, **told)
        else:
            recorded = tuple(
                [log.recorded_of(row) for row in log.extend(self.tx, self._head, drafts, **told)]
            )
            if recorded:
                self._head = log.Head(recorded[-1].seq, recorded[-1].hash)
        for one in recorded:
            fold(self.rows, one)
        return recorded

    def _worded(self, sql: str) -> str:
        for mark, meant in self._meant:
            sql = sql.replace(mark, meant)
        return sql

    def append_next(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        actor: str,
        event_ids: Sequence[bytes] | None = None,
        correlation: str | None = None,
        plan: str | None = None,
        version: int | None = None,
        expected_version: int | None = None,
    ) -> tuple[Recorded, ...]:
        """Append events behind whatever a stream holds; the same ids again return what they became.

        The stream's `version` may have been asked for before. Raises ConcurrentAppend when an
        `expected_version` is given and the stream is at another.
        """
        if event_ids is not None:
            before = log.already(self.tx, stream, [log.kind_of(event) for event in events], event_ids)
            if before is not None:
                return before
        if version is None:
            version = log.stream_version(self.tx, stream)
        if expected_version is not None and version != expected_version:
            raise ConcurrentAppend(stream=stream, expected=expected_version, found=version)
        ids = event_ids if event_ids is not None else [None] * len(events)
        drafts = [
            Draft(stream=stream, version=version + place, event=event, event_id=event_id, plan=plan)
            for place, (event, event_id) in enumerate(zip(events, ids, strict=True), start=1)
        ]
        return self.append(drafts, actor=actor, correlation=correlation)

    def fit(self, fit_id: str) -> FitState:
        """Return a fit's state; raises NotFound."""
        fit = self.rows.get(FitState, fit_id)
        if fit is None:
            raise NotFound(noun="fit", name=fit_id)
        return fit

    def tell(
        self,
        fit: FitState,
        events: Sequence[FitEvent],
        *,
        actor: str,
        attempt: int | None = None,
        event_id: bytes | None = None,
    ) -> tuple[Recorded, ...]:
        """Append events to a fit's stream, with all that follows from them."""
        return self.tell_all([Said(fit, events, actor, attempt, event_id)])

    def tell_all(self, words: Sequence[Said]) -> tuple[Recorded, ...]:
        """Append what one actor says of several fits, each once; end leases, complete plans."""
        actor, leased = words[0].actor, [said.fit for said in words if said.fit.state in LEASED_STATES]
        recorded = self.append([draft for said in words for draft in _drafts(said)], actor=actor)
        self._end_leases([fit for fit in leased if fit.state not in LEASED_STATES])
        for said in words:
            fit = said.fit
            if fit.state in LOST_STATES:
                self._give_up_dependents(fit)
                self._give_up_followers(fit)
        for plan_id in dict.fromkeys(said.fit.plan_id for said in words if said.fit.state in FINAL_STATES):
            self.complete(plan_id, actor=actor)
        return recorded

    def complete(self, plan_id: str, *, actor: str) -> None:
        """Append PlanCompleted once no fit of an active plan is open; raises NotAlone in a shared turn."""
        plan = self.rows.get(PlanState, plan_id)
        if plan is None or plan.state != "active" or plan.open > 0:
            return
        if self._unsent is not None:
            raise NotAlone("a plan is completed")
        event = PlanCompleted(
            succeeded=plan.succeeded,
            failed=plan.failed,
            unavailable=plan.unavailable,
            cancelled=plan.cancelled,
        )
        draft = Draft(stream=plan_stream(plan_id), version=plan.version + 1, event=event, plan=plan_id)
        self.append([draft], actor=actor, correlation=plan_id)

    def _end_leases(self, ended: Sequence[FitState]) -> None:
        if ended:
            marks = ", ".join("?" * len(ended))
            self.tx.later(f"DELETE FROM lease WHERE fit_id IN ({marks})", [fit.fit_id for fit in ended])

    def is_lost(self, fit_id: str) -> bool:
        """Return whether a fit has ended without success; raises NotFound."""
        return self.fit(fit_id).state in LOST_STATES

    def shortage(self, fit: FitState) -> Awaited | None:
        """Return what a fit is made from and can never have enough of, None when there is none."""
        return short_group(awaited_of(json_of(fit.awaits or "[]")), self.is_lost)

    def give_up(self, fit: FitState, group: Awaited) -> None:
        """Make a fit unavailable that its plan has too few fits for."""
        self.tell(fit, [FitUnavailable(reason=shortage_words(group), needs="")], actor=GIVING_UP)

    def _give_up_followers(self, fit: FitState) -> None:
        """Make fits unavailable that are made from one which was lost, where too few others are left."""
        followers = [self.fit(fit_id) for fit_id in json_of(fit.followers or "[]")]
        short = [(one, self.shortage(one)) for one in followers if one.state == "ready"]
        words = [
            (one, FitUnavailable(reason=shortage_words(group, _named(fit)), needs=fit.fit_id))
            for one, group in short
            if group is not None
        ]
        given_up = [Said(one, [word], GIVING_UP) for one, word in words]
        if given_up:
            self.tell_all(given_up)

    def _give_up_dependents(self, fit: FitState) -> None:
        """Make fits unavailable that wait for one which did not succeed, and those that wait for them."""
        reason = f"it needs {_named(fit)}"
        if fit.dependents is None:
            return
        waiting = [self.fit(fit_id) for fit_id in json_of(fit.dependents)]
        words = [FitUnavailable(reason=reason, needs=fit.fit_id)]
        given_up = [Said(other, words, GIVING_UP) for other in waiting if other.state == "ready"]
        if given_up:
            self.tell_all(given_up)


def fit_questions(fit_id: str, plan_id: str) -> tuple[Statement, Statement]:
    """Return the questions for a fit and its plan, to be primed by `prime_fit`."""
    return (by_key(FitState) + LOCK, (fit_id,)), (by_key(PlanState), (plan_id,))


def prime_fit(turn: Turn) -> None:
    """Take the first two answers of an opening with `fit_questions`."""
    turn.rows.prime(FitState, turn.answers[0])
    turn.rows.prime(PlanState, turn.answers[1])


def _drafts(said: Said) -> list[Draft]:
    fit = said.fit
    stream, attempt = fit_stream(fit.fit_id), said.attempt or fit.attempt or None
    ids: Sequence[bytes | None] = said.event_ids or [said.event_id, *[None] * (len(said.events) - 1)]
    return [
        Draft(
            stream,
            fit.version + place,
            event,
            event_id,
            fit.plan_id,
            fit.job_id,
            fit.fit_id,
            attempt,
            fit.plan_id,
        )
        for place, (event, event_id) in enumerate(zip(said.events, ids, strict=True), start=1)
    ]


def _named(fit: FitState) -> str:
    return f"{fit.job_id}/{fit.family}, which is {fit.state}"
