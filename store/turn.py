"""One write transaction of the store: events appended, states folded, leases ended, plans completed."""

from __future__ import annotations

from collections.abc import Sequence

from store import log
from store.database import Tx
from store.errors import NotFound
from store.events import Event, FitEvent, PlanCompleted
from store.folding import fold
from store.ids import fit_stream, plan_stream
from store.log import Draft, Recorded
from store.projections import LiveRows
from store.state import LEASED_STATES, FitState, PlanState


class Turn:
    """A write transaction at a moment `now` (microseconds since the epoch)."""

    def __init__(self, tx: Tx, *, now: int) -> None:
        self.tx = tx
        self.now = now
        self.rows = LiveRows(tx)

    def flush(self) -> None:
        """Write the folded states; the last thing before the commit."""
        self.rows.flush()

    def append(
        self, drafts: Sequence[Draft], *, actor: str, correlation: str | None = None
    ) -> tuple[Recorded, ...]:
        """Append events and fold them; raises ConcurrentAppend."""
        recorded = log.append(self.tx, drafts, actor=actor, recorded_at=self.now, correlation=correlation)
        for one in recorded:
            fold(self.rows, one)
        return recorded

    def append_next(
        self,
        stream: str,
        events: Sequence[Event],
        *,
        actor: str,
        event_ids: Sequence[bytes] | None = None,
        correlation: str | None = None,
    ) -> tuple[Recorded, ...]:
        """Append events behind whatever a stream holds; the same ids again return what they became."""
        if event_ids is not None:
            before = log.already(self.tx, stream, [log.kind_of(event) for event in events], event_ids)
            if before is not None:
                return before
        version = log.stream_version(self.tx, stream)
        ids = event_ids if event_ids is not None else [None] * len(events)
        drafts = [
            Draft(stream=stream, version=version + place, event=event, event_id=event_id)
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
        """Append events to a fit's stream; end its lease and complete its plan where that follows."""
        drafts = [
            Draft(
                stream=fit_stream(fit.fit_id),
                version=fit.version + place,
                event=event,
                event_id=event_id if place == 1 else None,
                plan=fit.plan_id,
                job=fit.job_id,
                fit=fit.fit_id,
                attempt=attempt if attempt is not None else fit.attempt or None,
            )
            for place, event in enumerate(events, start=1)
        ]
        recorded = self.append(drafts, actor=actor, correlation=fit.plan_id)
        if self.fit(fit.fit_id).state not in LEASED_STATES:
            self.tx.execute("DELETE FROM lease WHERE fit_id = ?", (fit.fit_id,))
        self.complete(fit.plan_id, actor=actor)
        return recorded

    def complete(self, plan_id: str, *, actor: str) -> None:
        """Append PlanCompleted once no fit of an active plan is open."""
        plan = self.rows.get(PlanState, plan_id)
        if plan is None or plan.state != "active" or plan.open > 0:
            return
        event = PlanCompleted(
            succeeded=plan.succeeded,
            failed=plan.failed,
            unavailable=plan.unavailable,
            cancelled=plan.cancelled,
        )
        draft = Draft(stream=plan_stream(plan_id), version=plan.version + 1, event=event, plan=plan_id)
        self.append([draft], actor=actor, correlation=plan_id)
