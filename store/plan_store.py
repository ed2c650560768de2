"""The face of the plan store: one method, one transaction, events and projections together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial

from store import acceptance, adopting, fleet, hosts, leases, log, rebuilding, rescuing, words
from store.acceptance import Beat, no_beat
from store.choosing import Wanted, opening
from store.database import connect
from store.errors import LeaseLost, PlanRejected
from store.events import (
    CheckpointSaved,
    FitEvent,
    FitFailed,
    FitProgressed,
    FitReleased,
    FitStarted,
    FitSucceeded,
    PlanRefused,
)
from store.host_events import UNSEEN, DaemonReloaded, DaemonStarted, DaemonStopped, LastSigns
from store.ids import INBOX_STREAM, host_of, planning_stream
from store.intervening import Intervening
from store.moments import microseconds_of
from store.ordering import ClaimOrder
from store.plan import Plan
from store.planning_events import PlanningEvent
from store.records import Accepted, Claim, EventRow, Failure, Info, PreviousStop, Rescue, Room, Verification
from store.retries import RetryPolicy
from store.revision import require_schema
from store.schema import upgrade
from store.verification import database_info, verify
from store.waking import Waker
from store.words import Answers, Word

FEW_CLAIMS = 8  # more are faster alone on the log

__all__ = ["PlanStore", "RetryPolicy", "Room", "open_store"]


class PlanStore(Intervening):
    """The event log and its projections over one database; every method is one transaction.

    Safe to share between threads (one connection each) and between processes. A word about a fit carries
    the claim it is said under and raises `LeaseLost` once that claim's fence is no longer current. A method
    that takes `event_id` may be called again with the same id after an unanswered call: it is recorded once.
    """

    def _say(self, claim: Claim, word: FitEvent, event_id: bytes | None) -> int:
        """Record a worker's word and return its seq; raises LeaseLost."""
        seq, turn = self._beside_others(
            lambda turn: leases.say(turn, claim, word, event_id=event_id), *leases.questions(claim, event_id)
        )
        return turn.settled(seq)

    def accept(
        self, plan: Plan, *, source: str, name: str, planning_id: str | None = None, beat: Beat = no_beat
    ) -> Accepted:
        """Record a plan; the same is a receipt with `new` False. `beat` tells of life now and then."""
        with self._turn() as turn:
            turn.tx.wake()
            return acceptance.accept(turn, plan, source=source, name=name, correlation=planning_id, beat=beat)

    def reject(self, rejected: PlanRejected, *, name: str, event_id: bytes | None = None) -> int:
        """Record that a plan was refused and why; returns the event's seq, of the same event id once."""
        event = PlanRefused(
            name=name,
            source=rejected.source,
            place=rejected.place,
            sentence=rejected.sentence,
            fix=rejected.fix,
        )
        with self._turn(log.version_of(INBOX_STREAM)) as turn:
            version = int(turn.answers[0][0][0])
            ids = None if event_id is None else [event_id]
            told = turn.append_next(INBOX_STREAM, [event], actor="inbox", event_ids=ids, version=version)
            return told[0].seq

    def plan(self, plan_id: str) -> Plan:
        """Return an accepted plan, whole; raises NotFound."""
        return self.reading.plan(plan_id)

    # -- leases ---

    def claim(  # noqa: PLR0913 - all that a claim may ask for
        self,
        worker: str,
        *,
        stage: str,
        limit: int = 1,
        lease_seconds: float = 60.0,
        plans: Collection[str] | None = None,
        room: Room | None = None,
        host: str | None = None,
        labels: Collection[str] = (),
        fits: Collection[str] | None = None,
    ) -> tuple[Claim, ...]:
        """Lease up to `limit` ready fits of a stage (of these plans only, if given), most urgent first.

        What the fits need stays within `room` together, if it is given, and what labels, within `labels`. A
        pause of `host`, by default the worker's, holds for it, as does that it drains. With `fits` only these
        are taken, whatever comes before them; else plans share the host as `self.order` says.
        """
        return self.end_and_claim(
            (),
            worker,
            stage=stage,
            limit=limit,
            lease_seconds=lease_seconds,
            plans=plans,
            room=room,
            host=host,
            labels=labels,
            fits=fits,
        )[1]

    def end_and_claim(  # noqa: PLR0913 - as above
        self,
        ended: Sequence[tuple[Claim, FitSucceeded]],
        worker: str,
        *,
        stage: str,
        limit: int = 1,
        lease_seconds: float = 60.0,
        plans: Collection[str] | None = None,
        room: Room | None = None,
        host: str | None = None,
        labels: Collection[str] = (),
        fits: Collection[str] | None = None,
    ) -> tuple[tuple[int | LeaseLost, ...], tuple[Claim, ...]]:
        """Record the bundles of some fits and lease the next: one transaction, one wait for the disk.

        Each ended fit is answered with its seq, or with why its word was refused. What only becomes ready
        because these have ended is for the next claim.
        """
        wanted = Wanted(
            stage=stage,
            limit=limit,
            plans=plans,
            room=room,
            host=host_of(worker) if host is None else host,
            order=self.order,
            labels=labels,
            fits=fits,
        )
        questions = (*(leases.fits_of([held for held, _ in ended]) if ended else ()), *opening(wanted))
        decide = partial(
            leases.end_and_claim, ended=ended, worker=worker, wanted=wanted, lease_seconds=lease_seconds
        )
        if max(limit, len(ended)) <= FEW_CLAIMS:
            (said, claims), turn = self._beside_others(decide, *questions)
        else:
            with self._turn(*questions) as turn:
                said, claims = decide(turn)
        return tuple(one if isinstance(one, LeaseLost) else turn.settled(one) for one in said), claims

    def renew(self, claim: Claim) -> datetime:
        """Extend a lease by its length from now and return its new end; raises LeaseLost."""
        return self._beside_others(lambda turn: leases.renew(turn, claim), leases.renewal(claim))[0]

    def take_over(self, fit_id: str, fence: int, worker: str, *, event_id: bytes | None = None) -> Claim:
        """Make a worker the holder of a claim, under its fence, and renew its lease; raises LeaseLost.

        Possible once for a fence, and only until the fit has started: of many that were sent to do the same
        claim, one may. The same `event_id` again gets the same answer.
        """
        return self._beside_others(
            lambda turn: adopting.take_over(turn, fit_id, fence, worker, event_id=event_id),
            *adopting.questions(fit_id, fence, event_id),
        )[0]

    def rescue(
        self, *, is_dead: Callable[[str], bool] | None = None, by_time: bool = True
    ) -> tuple[Rescue, ...]:
        """Take back every fit whose lease ran out, or whose worker `is_dead`, and say what was lost.

        Not `by_time`: only of the dead, as long as it is not known whether anybody could renew.
        """
        workers = self.reading.leased_workers() if is_dead is not None else frozenset()
        dead = frozenset(worker for worker in workers if is_dead is not None and is_dead(worker))
        with self._database.snapshot() as tx:
            now = microseconds_of(self._clock()) if self._clock else tx.now()
            fits = rescuing.overdue(tx, now=now, dead=dead)
        return tuple(
            one
            for start in range(0, len(fits), rescuing.AT_ONCE)
            for one in self._beside_others(
                partial(rescuing.rescue, policy=self._policy, dead=dead, by_time=by_time),
                rescuing.question(fits[start : start + rescuing.AT_ONCE]),
            )[0]
        )

    def overdue(self) -> int:
        """Return how many fits have a lease that ran out, or none: what `rescue` takes back by time."""
        with self._database.snapshot() as tx:
            return len(rescuing.overdue(tx, now=microseconds_of(self._clock()) if self._clock else tx.now()))

    # -- words of a worker about its fit ---

    def started(self, claim: Claim, word: FitStarted, *, event_id: bytes | None = None) -> int:
        """Record that the training process runs; returns the seq; raises LeaseLost."""
        return self._say(claim, word, event_id)

    def progressed(self, claim: Claim, word: FitProgressed, *, event_id: bytes | None = None) -> int:
        """Record how far the training got; returns the seq; raises LeaseLost."""
        return self._say(claim, word, event_id)

    def checkpointed(self, claim: Claim, word: CheckpointSaved, *, event_id: bytes | None = None) -> int:
        """Record a durable checkpoint; returns the seq; raises LeaseLost."""
        return self._say(claim, word, event_id)

    def succeeded(self, claim: Claim, word: FitSucceeded, *, event_id: bytes | None = None) -> int:
        """Record a durable bundle and end the fit; returns the seq; raises LeaseLost."""
        return self._say(claim, word, event_id)

    def succeeded_many(self, ended: Sequence[tuple[Claim, FitSucceeded]]) -> tuple[int | LeaseLost, ...]:
        """Record the bundles of several fits of one worker; each is answered with its seq or its refusal."""
        if not ended:
            return ()
        with self._turn(*leases.fits_of([held for held, _ in ended])) as turn:
            return leases.say_all(turn, ended)

    def say_each(self, said: Sequence[Word], *, renewing: Sequence[Claim] = ()) -> Answers:
        """Record what one worker says of its fits, and renew other leases, all in one transaction.

        Each is answered by itself, a refused one with why; the words of a fit keep their order.
        """
        if not said and not renewing:
            return Answers((), ())
        answers, turn = self._beside_others(
            lambda turn: words.say_each(turn, said, renewing, policy=self._policy),
            *words.questions(said, renewing),
        )
        return Answers(
            tuple(turn.settled(one) if isinstance(one, int) else one for one in answers.words),
            answers.renewed,
        )

    def failed(self, claim: Claim, failure: Failure, *, event_id: bytes | None = None) -> FitFailed:
        """Record a failed attempt and return the event, which says whether and when it is tried again."""
        return self._beside_others(
            lambda turn: leases.fail(turn, claim, failure, policy=self._policy, event_id=event_id),
            *leases.questions(claim, event_id),
        )[0]

    def released(self, claim: Claim, word: FitReleased, *, event_id: bytes | None = None) -> int:
        """Give a fit back after a clean stop; returns the seq; raises LeaseLost."""
        return self._say(claim, word, event_id)

    # -- hosts and plannings ---

    def daemon_started(
        self, word: DaemonStarted, *, is_dead: Callable[[str], bool] | None = None, last: LastSigns = UNSEEN
    ) -> PreviousStop:
        """Record a daemon's start and return how the one before it on the same host ended."""
        with self._turn() as turn:
            return hosts.daemon_started(turn, word, is_dead=is_dead, last=last)

    def daemon_said(self, word: DaemonStopped | DaemonReloaded) -> int:
        """Record a daemon's stop on purpose, or what came of a reload; returns the seq."""
        with self._turn() as turn:
            return hosts.daemon_said(turn, word)

    def beat(self, host: str, worker: str, *, running: int = 0, trouble: str = "") -> None:
        """Note that a host is there, with so many fits at work and what is wrong with it.

        It is no event, and wakes nobody.
        """
        now = microseconds_of(self._clock()) if self._clock else None
        fleet.beat(self._database, host, worker, running=running, trouble=trouble, now=now)

    def record(
        self,
        planning_id: str,
        events: Sequence[PlanningEvent],
        *,
        event_ids: Sequence[bytes] | None = None,
        actor: str = "planner",
        expected_version: int | None = None,
    ) -> tuple[int, ...]:
        """Append a planner's decisions to its stream; returns their seqs, the same for the same ids.

        Raises ConcurrentAppend when an `expected_version` is given and the stream is at another.
        """
        stream = planning_stream(planning_id)
        with self._turn(log.version_of(stream)) as turn:
            recorded = turn.append_next(
                stream,
                events,
                actor=actor,
                event_ids=event_ids,
                correlation=planning_id,
                version=int(turn.answers[0][0][0]),
                expected_version=expected_version,
            )
            return tuple(one.seq for one in recorded)

    # -- the log itself ---

    def events(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        plan: str | None = None,
        fit: str | None = None,
        kinds: Collection[str] | None = None,
    ) -> tuple[EventRow, ...]:
        """Return up to `limit` events behind `after` in the log's order, filtered."""
        return self.reading.events(after=after, limit=limit, plan=plan, fit=fit, kinds=kinds)

    def head_seq(self) -> int:
        """Return the seq of the last event, 0 for none: the cheap question whether anything happened."""
        return self.reading.head_seq()

    def waker(self, worker: str) -> Waker:
        """Return what tells a worker's host that something was recorded; for one thread, to be closed."""
        return self._database.waker(worker)

    def rebuild(self) -> int:
        """Make all projections what the log folds to, while others write on; returns the events read."""
        return rebuilding.rebuild_online(self._database)

    def verify(self) -> Verification:
        """Check order, versions, hash chain, guards and projections; never raises for what it finds."""
        return verify(self._database)

    def info(self) -> Info:
        """Return what the database is: engine, size, counts, warnings."""
        return database_info(self._database)


def open_store(
    url: str,
    *,
    create: bool = True,
    migrate: bool = True,
    policy: RetryPolicy | None = None,
    clock: Callable[[], datetime] | None = None,
    order: ClaimOrder | None = None,
) -> PlanStore:
    """Open the plan store at ``sqlite:///path`` or ``postgresql://…``.

    Raises DatabaseUnsafe (it would lose events), DatabaseUnavailable, SchemaBehind (`migrate` False).
    A `clock` replaces the database's own: for tests.
    """
    if migrate:
        upgrade(url, create=create)
    database = connect(url)
    require_schema(database)
    store = PlanStore(database, policy=policy, clock=clock, order=order)
    if rebuilding.is_outdated(database):
        store.rebuild()
    return store
