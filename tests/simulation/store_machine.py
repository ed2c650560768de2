"""A machine that does to a plan store what a bad week does: crashes, lost leases, stale words, odd clocks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from crashing_database import Crashed, CrashingDatabase, in_memory
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from machine_samples import (
    APART_SECONDS,
    CAUSES,
    DECISIONS,
    LABELS,
    LEASE_SECONDS,
    ORDERS,
    POLICY,
    ROOMS,
    SCOPES,
    WORDS,
    failure_of,
    plans,
)
from store_model import FINAL, MICROSECONDS, StoreModel
from store_samples import STARTED, SUCCEEDED, Clock, checkpoint, cs_job, plan_of, projected_rows

from store import Claim, Failure, LeaseLost, Plan, PlanStore, Room, WrongState
from store.events import FitReleased
from store.folding import fold
from store.layout import SELECT_EVENT
from store.log import recorded_of
from store.ordering import ClaimOrder
from store.projections import MemoryRows, row_of
from store.state import LEASED_STATES, STATE_TYPES

WHICH = st.integers(0, 39)
MACHINE_SETTINGS = settings(
    max_examples=100,
    stateful_step_count=80,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
MUTANT_SETTINGS = settings(MACHINE_SETTINGS, max_examples=300, phases=[Phase.generate])


class Unanswered:
    """A word whose answer did not come: `seq` is what it was recorded as, None when it was not."""

    def __init__(self, claim: Claim, kind: str, event_id: bytes, failure: Failure) -> None:
        self.claim, self.kind, self.event_id, self.failure = claim, kind, event_id, failure
        self.seq: int | None = None


def told(machine: StoreMachine) -> bool:
    """Whether any worker remembers a claim."""
    return bool(machine.told)


class StoreMachine(RuleBasedStateMachine):
    """Rules act as workers, people, a rescuer and a power cut; a plain model says what must come out."""

    STORE: ClassVar[type[PlanStore]] = PlanStore
    OPEN: ClassVar[Callable[[], CrashingDatabase]] = staticmethod(in_memory)
    PLANS: ClassVar[Callable[[str], tuple[Plan, Plan]]] = staticmethod(plans)
    steps: ClassVar[int] = 0
    crashes: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.database = type(self).OPEN()
        self.clock = Clock()
        self.epoch = self.clock.now
        self.model = StoreModel(policy=POLICY, now=round(self.epoch.timestamp()) * MICROSECONDS)
        self.began = self.model.now
        self.rows = MemoryRows()
        self.told: list[Claim] = []  # what workers remember, valid or not
        self.unanswered: list[Unanswered] = []
        self.head = 0
        self.ids = 0
        self.reopen()

    def reopen(self) -> None:
        """Start over with nothing but what is kept, as after a crash."""
        self.database.close()
        self.database.crash = None
        self.store = self.STORE(self.database, clock=self.clock, policy=POLICY, order=self.model.order)

    @initialize(
        barrier=st.sampled_from(["plan", "job"]),
        order=st.sampled_from(ORDERS),
        apart_seconds=st.sampled_from(APART_SECONDS),
    )
    def accept(self, barrier: str, order: ClaimOrder, apart_seconds: float) -> None:
        self.plans = self.PLANS(barrier)
        self.store.order = self.model.order = order
        for plan in self.plans:
            self.store.accept(plan, source="s", name="n")
            self.model.accept(plan)
            self.move(apart_seconds)
        self.fit_ids = sorted(self.model.fits)
        type(self).steps -= 1  # the invariants are looked at once before the first step

    # -- claims ---

    def pick(self, which: int) -> Claim:
        """A claim that some worker remembers: for even numbers a valid one, if there is any."""
        valid = [claim for claim in self.told if self.model.holds(claim)]
        pool = valid if which % 2 == 0 and valid else self.told
        return pool[which // 2 % len(pool)]

    @rule(
        worker=st.sampled_from("uvw"),
        stage=st.sampled_from(["cpu", "gpu"]),
        limit=st.integers(1, 4),
        room=st.sampled_from(ROOMS),
        host=st.sampled_from([None, "h1", "h2"]),
        of=st.sampled_from([None, None, None, 0, 1]),
    )
    def claim(
        self, worker: str, stage: str, limit: int, room: Room | None, host: str | None, of: int | None
    ) -> None:
        asked = None if of is None else [self.plans[of].id]
        due = self.model.due(stage, limit, plans=asked, room=room, host=host or worker)
        claimed = self.store.claim(
            worker, stage=stage, limit=limit, lease_seconds=LEASE_SECONDS, plans=asked, room=room, host=host
        )
        taken = [claim.fit_id for claim in claimed]
        fits = [self.model.fits[fit_id] for fit_id in taken]
        assert not [fit for fit in fits if fit.state == "leased"], "a fit has two valid claims"
        assert not [fit for fit in fits if fit.state in FINAL], "a final fit was claimed"
        if stage == "gpu":
            assert not any(self.model.barred(fit) for fit in fits), "a GPU fit before its CPU stage"
        ready = {fit.id for fit in self.model.ready(stage, plans=asked, host=host or worker)}
        assert not set(taken) - ready, "what is not ready was claimed"
        assert not set(taken) - set(due), "what is less urgent was claimed"
        assert taken == due, "what is ready was not claimed"
        for claim in claimed:
            self.model.claimed(claim)
        self.told += claimed

    @precondition(told)
    @rule(which=WHICH)
    def renew(self, which: int) -> None:
        claim = self.pick(which)
        if self.allowed(claim, lambda: self.store.renew(claim)):
            self.model.renewed(claim)

    @precondition(told)
    @rule(which=WHICH, worker=st.sampled_from("xyz"))
    def take_over(self, which: int, worker: str) -> None:
        """Somebody was sent with a claim, perhaps not the only one, perhaps late."""
        claim = self.pick(which)
        due = self.model.may_be_taken_over(claim)
        try:
            taken = self.store.take_over(claim.fit_id, claim.fence, worker)
        except LeaseLost:
            assert not due, "a claim that nobody had begun was not handed over"
            return
        assert due, "a claim was taken over twice, or once it had begun or ended"
        self.model.taken_over(taken)
        self.told.append(taken)

    # -- words ---

    @precondition(told)
    @rule(which=WHICH, step=st.integers(1, 9))
    def work(self, which: int, step: int) -> None:
        claim = self.pick(which)
        if self.allowed(claim, lambda: self.store.started(claim, STARTED)):
            self.model.begun(claim.fit_id)
        self.allowed(claim, lambda: self.store.checkpointed(claim, checkpoint(step)))

    @precondition(told)
    @rule(which=WHICH, kind=st.sampled_from(WORDS[2:]), cause=st.sampled_from(CAUSES))
    def end(self, which: int, kind: str, cause: str) -> None:
        """End a fit; the worker remembers its claim, and every later word under it is stale."""
        claim, failure = self.pick(which), failure_of(cause)
        if self.allowed(claim, lambda: self.speak(claim, kind, failure, None)):
            self.happened(claim, kind, failure)

    @precondition(told)
    @rule(some=st.lists(WHICH, min_size=1, max_size=4))
    def succeed_together(self, some: list[int]) -> None:
        """A worker ends several fits in one word: each is taken or refused by itself."""
        picked = [self.pick(which) for which in some]
        batch = list({claim.fit_id: claim for claim in picked if claim.worker == picked[0].worker}.values())
        answers = self.store.succeeded_many([(claim, SUCCEEDED) for claim in batch])
        for claim, answer in zip(batch, answers, strict=True):
            refused = isinstance(answer, LeaseLost)
            assert refused or self.model.holds(claim), "a word under an old fence was taken"
            assert not refused or not self.model.holds(claim), "the holder's word was refused"
            if not refused:
                self.model.ended(claim.fit_id, "succeeded")

    # -- crashes, and words of unknown fate ---

    @precondition(told)
    @rule(
        which=WHICH,
        kind=st.sampled_from(WORDS),
        cause=st.sampled_from(CAUSES),
        moment=st.sampled_from(["after", "before"]),
        again=st.booleans(),
    )
    def crash(self, which: int, kind: str, cause: str, moment: str, *, again: bool) -> None:
        """The power goes around the commit of a word: it is there whole, or not at all."""
        claim = self.pick(which)
        self.ids += 1
        word = Unanswered(claim, kind, self.ids.to_bytes(16, "big"), failure_of(cause))
        valid = self.model.holds(claim)
        self.database.crash = moment
        try:
            self.speak(word.claim, word.kind, word.failure, word.event_id)
        except LeaseLost:
            assert not valid, "the holder's word was refused"
        except Crashed:
            assert valid, "a word under an old fence was taken"
            if moment == "after":
                word.seq = self.head + 1
                self.happened(claim, kind, word.failure)
        self.reopen()
        type(self).crashes += 1
        self.unanswered.append(word)
        if again:
            self.repeat(word)

    @precondition(lambda self: self.unanswered)
    @rule(which=WHICH)
    def say_again(self, which: int) -> None:
        """A word of unknown fate is said again under its id: recorded once, with the answer it had."""
        self.repeat(self.unanswered[-1 - which % len(self.unanswered)])

    def repeat(self, word: Unanswered) -> None:
        head = self.store.head_seq()
        if word.seq is not None:
            try:
                answer = self.speak(word.claim, word.kind, word.failure, word.event_id)
            except LeaseLost:
                raise AssertionError("a recorded word was refused when it was said again") from None
            assert word.kind == "failed" or answer == word.seq, "a word said again got another answer"
            assert self.store.head_seq() == head, "a word said again was recorded twice"
        elif self.allowed(word.claim, lambda: self.speak(word.claim, word.kind, word.failure, word.event_id)):
            word.seq = head + 1
            self.happened(word.claim, word.kind, word.failure)

    @rule(worker=st.sampled_from("uvw"), stage=st.sampled_from(["cpu", "gpu"]))
    def claim_and_crash(self, worker: str, stage: str) -> None:
        """A claim is recorded, and nobody is told: the fit waits for its rescue."""
        due = self.model.due(stage, 1, plans=None, room=None, host=worker)
        ready = {fit.id for fit in self.model.ready(stage, plans=None, host=worker)}
        self.database.crash = "after"
        with suppress(Crashed):
            self.store.claim(worker, stage=stage, limit=1, lease_seconds=LEASE_SECONDS)
        self.reopen()
        known = {fit.id for fit in self.model.leased()}
        found = [
            fit for fit in self.store.reading.fits() if fit.state in LEASED_STATES and fit.id not in known
        ]
        assert {fit.id for fit in found} <= ready, "what is not ready was claimed"
        assert {fit.id for fit in found} <= set(due), "what is less urgent was claimed"
        assert {fit.id for fit in found} == set(due), "what is ready was not claimed"
        for fit in found:
            self.model.claimed(replace(NOBODYS, fit_id=fit.id, worker=worker, fence=fit.fence))

    # -- time ---

    @rule(seconds=st.sampled_from([0.001, 1, 5, 10, 29.5, 30.5, 60, 60.000001, 61, 120, 600]))
    def wait(self, seconds: float) -> None:
        self.move(seconds)

    @rule(seconds=st.sampled_from([-7200, -61, -0.5, 3600, 86_400]))
    def jump(self, seconds: float) -> None:
        """Somebody sets the clock, to either side."""
        self.move(seconds)

    def move(self, seconds: float) -> None:
        self.model.now += round(seconds * MICROSECONDS)
        self.clock.now = self.epoch + timedelta(microseconds=self.model.now - self.began)

    @rule(dead=st.sampled_from(["", "", "u", "v"]))
    def rescue(self, dead: str) -> None:
        due = self.model.expired(dead)
        taken = {one.fit_id for one in self.store.rescue(is_dead=lambda worker: worker in dead)}
        assert taken <= due, "a living lease was taken back"
        assert taken == due, "a lease that ran out was left"
        for fit_id in taken:
            self.model.rescued(fit_id)

    # -- people ---

    @rule(data=st.data(), what=st.sampled_from(DECISIONS))
    def intervene(self, data: st.DataObject, what: str) -> None:
        fit = self.model.fits[data.draw(st.sampled_from(self.fit_ids))]
        possible = {
            "cancel": fit.state not in FINAL,
            "retry": fit.state in ("failed", "cancelled", "unavailable"),
            "hold": fit.state not in FINAL and not fit.held,
            "lift_hold": fit.held,
        }[what]
        try:
            getattr(self.store, what)(fit.id)
        except WrongState:
            assert not possible, f"a fit that is {fit.state} could not be changed: {what}"
            return
        assert possible, f"a fit that is {fit.state} was changed: {what}"
        if what in ("hold", "lift_hold"):
            fit.held = what == "hold"
        elif what == "cancel":
            self.model.ended(fit.id, "cancelled")
        else:
            self.model.retried(fit.id)

    @precondition(lambda self: any(fit.state == "leased" for fit in self.model.fits.values()))
    @rule(data=st.data())
    def cancel_what_runs(self, data: st.DataObject) -> None:
        """A fit is cancelled under its worker, who learns it by the next word."""
        fit_id = data.draw(st.sampled_from([fit.id for fit in self.model.leased()]))
        self.store.cancel(fit_id)
        self.model.ended(fit_id, "cancelled")

    @rule(scope=st.sampled_from(SCOPES), on=st.sampled_from([True, False, False]))
    def pause_or_resume(self, scope: tuple[int | None, str | None, str | None], *, on: bool) -> None:
        of, stage, host = scope
        plan = None if of is None else self.plans[of].id
        known = (plan, stage, host) in self.model.pauses
        seq = (self.store.pause if on else self.store.resume)(plan=plan, stage=stage, host=host)
        assert (seq is None) == (known == on), "a pause was recorded twice, or not at all"
        (self.model.pauses.add if on else self.model.pauses.discard)((plan, stage, host))

    # -- what every word has ---

    def speak(self, claim: Claim, kind: str, failure: Failure, event_id: bytes | None) -> object:
        match kind:
            case "started":
                return self.store.started(claim, STARTED, event_id=event_id)
            case "checkpointed":
                return self.store.checkpointed(claim, checkpoint(1), event_id=event_id)
            case "succeeded":
                return self.store.succeeded(claim, SUCCEEDED, event_id=event_id)
            case "failed":
                return self.store.failed(claim, failure, event_id=event_id)
            case _:
                return self.store.released(claim, FitReleased(cause="stop"), event_id=event_id)

    def happened(self, claim: Claim, kind: str, failure: Failure) -> None:
        match kind:
            case "started":
                self.model.begun(claim.fit_id)
            case "succeeded":
                self.model.ended(claim.fit_id, "succeeded")
            case "failed":
                self.model.failed(claim.fit_id, failure)
            case "released":
                self.model.released(claim.fit_id)

    def allowed(self, claim: Claim, word: Callable[[], object]) -> bool:
        """Say a word; it must be taken from the holder, and refused from anybody else. Returns which."""
        valid = self.model.holds(claim)
        try:
            word()
        except LeaseLost:
            assert not valid, "the holder's word was refused"
            return False
        assert valid, "a word under an old fence was taken"
        return True

    # -- what always holds ---

    @invariant()
    def rows_follow_from_the_log_and_the_model(self) -> None:
        """No event is lost, every row is what the events fold to, and every fit is where the model has it."""
        type(self).steps += 1
        with self.database.snapshot() as tx:
            new = tx.query(f"{SELECT_EVENT} WHERE seq > ? ORDER BY seq", (self.head,))
            head = tx.query("SELECT COALESCE(MAX(seq), 0) FROM event")[0][0]
            leases = dict(tx.query("SELECT fit_id, fence FROM lease"))
        assert head == self.head + len(new), "acknowledged events are gone, or there is a hole in seq"
        assert [row[0] for row in new] == list(range(self.head + 1, head + 1)), "a hole in seq"
        for row in new:
            fold(self.rows, recorded_of(row))
        self.head = head
        folded = {
            kind.TABLE: sorted(row_of(row) for row in self.rows.of(kind).values()) for kind in STATE_TYPES
        }
        live = {name: sorted(found) for name, found in projected_rows(self.database).items()}
        assert live == folded, "a projection does not follow from the log"
        wanted = {fit.id: fit.claim.fence for fit in self.model.leased() if fit.claim is not None}
        assert leases == wanted, "leases and states disagree"
        for row in self.store.reading.fits():
            fit = self.model.fits[row.id]
            state = "leased" if row.state in LEASED_STATES else row.state
            assert state == fit.state, f"a final fit moved, or another did: {fit.state} is {state}"

    def teardown(self) -> None:
        """Faults stop: holds are lifted, pauses end, and a worker who does all its work ends every fit."""
        try:
            self.database.crash = None
            if self.model.fits:
                self.drain()
                verdict = self.store.verify()
                assert verdict.problems == (), "verify found problems"
        finally:
            self.database.close()

    def drain(self) -> None:
        for fit in self.model.fits.values():
            if fit.held:
                self.store.lift_hold(fit.id)
        for plan, stage, host in self.model.pauses:
            self.store.resume(plan=plan, stage=stage, host=host)
        # A clock that was set back leaves leases and waits that are far from now.
        latest = max(max(fit.until, fit.not_before or 0) for fit in self.model.fits.values())
        self.move(max(0, latest - self.model.now) / MICROSECONDS)
        for _ in range(12):
            self.move(700)
            self.store.rescue()
            for stage in ("cpu", "gpu"):
                for claim in self.store.claim(
                    "fresh", stage=stage, limit=9, lease_seconds=LEASE_SECONDS, labels=LABELS[-1]
                ):
                    self.store.succeeded(claim, SUCCEEDED)
            if all(fit.state in FINAL for fit in self.store.reading.fits()):
                break
        assert all(fit.state in FINAL for fit in self.store.reading.fits()), "an accepted fit never ends"
        assert {row.state for row in self.store.reading.plans()} == {"completed"}, "a plan never completes"


def _nobodys() -> Claim:
    """A claim that nobody was told of."""
    store = PlanStore(in_memory())
    store.accept(plan_of(cs_job("x")), source="s", name="n")
    return store.claim("nobody", stage="cpu", lease_seconds=LEASE_SECONDS)[0]


NOBODYS = _nobodys()
