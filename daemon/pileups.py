"""Plans that only fail: so many final failures of one cause in a row pause a plan, with an example.

What counts is read from the log, so a daemon that starts anew goes on counting where the last one was. A
pause of the plan, and its end, begin the count anew: the same failures never pause a plan twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from store.plan_store import PlanStore
from store.records import EventRow

log = structlog.get_logger("conditions")

JOBS_MIN = 3  # a single bad target fails in all its families and says nothing about the rest
PAGE_EVENTS = 1000
SENTENCE_MAX = 200
_KINDS = ("FitSucceeded", "FitFailed", "PlanCompleted", "WorkPaused", "WorkResumed")


@dataclass(slots=True)
class _Row:
    """Final failures of a plan in a row: their cause, how many, of which jobs, the last one."""

    cause: str
    count: int = 0
    jobs: set[str] = field(default_factory=set)
    last: EventRow | None = None


class Pileups:
    """Watches the ends of all plans' fits and pauses those that only fail."""

    def __init__(self, store: PlanStore, actor: str, failures_max: int) -> None:
        self._store, self._actor = store, actor
        self.failures_max = failures_max  # 0: plans are never paused
        self._rows: dict[str, _Row] = {}
        self._grown: set[str] = set()  # plans with failures that are not judged yet
        self._seen_seq: int | None = None

    def look(self) -> None:
        """Take note of what has ended since the last look; at first, of all that ended in open plans.

        Raises:
            StoreError: the log does not answer; the next look goes on from here.
        """
        head = self._store.head_seq()
        if self._seen_seq is None:
            for plan in self._store.reading.plans():
                if plan.open:
                    self._read(0, head, plan.id)
        elif head > self._seen_seq:
            self._read(self._seen_seq, head)
        self._seen_seq = head
        while self._grown:
            plan_id = self._grown.pop()
            row = self._rows.get(plan_id)
            if row is not None and self.failures_max and row.count >= self.failures_max:
                self._judge(plan_id, row)

    def _read(self, after: int, upto: int, plan_id: str | None = None) -> None:
        while after < upto:
            page = self._store.reading.events(after=after, limit=PAGE_EVENTS, plan=plan_id, kinds=_KINDS)
            for event in page:
                if event.seq <= upto and event.plan is not None:
                    self._note(event, event.plan)
            after = page[-1].seq if len(page) == PAGE_EVENTS else upto

    def _note(self, event: EventRow, plan_id: str) -> None:
        if event.kind != "FitFailed":
            self._rows.pop(plan_id, None)
        elif not event.data.get("retry"):
            cause = str(event.data.get("cause"))
            row = self._rows.get(plan_id)
            if row is None or row.cause != cause:
                row = self._rows[plan_id] = _Row(cause)
            row.count, row.last = row.count + 1, event
            row.jobs.add(str(event.job))
            self._grown.add(plan_id)

    def _judge(self, plan_id: str, row: _Row) -> None:
        """Pause a plan whose failures are enough, unless all of it has ended."""
        plan = self._store.reading.plan_row(plan_id)
        if not plan.open or row.last is None or len(row.jobs) < min(JOBS_MIN, plan.jobs):
            return
        words = pile_words(plan_id, row.cause, row.count, row.last, self._name_of(row.last))
        if self._store.pause(plan=plan_id, reason=words, actor=self._actor) is not None:
            log.error("plan paused", plan=plan_id, cause=row.cause, failures=row.count, sentence=words)
        del self._rows[plan_id]

    def _name_of(self, event: EventRow) -> str:
        return self._store.reading.fit(str(event.fit)).name


def pile_words(plan_id: str, cause: str, count: int, last: EventRow, name: str) -> str:
    """Return what people are told of a paused plan: how often, of what, an example, the next command."""
    sentence = " ".join(str(last.data.get("sentence", "")).split())
    if len(sentence) > SENTENCE_MAX:
        sentence = f"{sentence[:SENTENCE_MAX]} …"
    return (
        f"{count} fits in a row failed for good with the cause {cause}; the last is {name}: {sentence}; "
        f"to go on: trainwright resume --plan {plan_id}"
    )
