"""A machine that does to a plan store what a bad week does: crashes, lost leases, stale words, odd clocks."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from store_samples import STARTED, SUCCEEDED, Clock, checkpoint, cs_job, plan_of, projected_rows

from store import Claim, Failure, LeaseLost, PlanStore
from store.database import Tx
from store.events import FitReleased
from store.projections import MemoryRows, row_of
from store.rebuilding import fold_log
from store.schema import upgrade
from store.sqlite_database import SqliteDatabase
from store.state import FINAL_STATES, STATE_TYPES

LEASE_SECONDS = 60.0
MACHINE_SETTINGS = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
MUTANT_SETTINGS = settings(MACHINE_SETTINGS, max_examples=300, phases=[Phase.generate])


class Crashed(Exception):
    """The power went."""


class CrashingDatabase(SqliteDatabase):
    """A database whose next transaction dies where the test says: before its commit, or just after."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.crash: str | None = None

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        with super().transaction() as tx:
            yield tx
            if self.crash == "before":
                self.crash = None
                raise Crashed
        if self.crash == "after":
            self.crash = None
            raise Crashed


def temporary_folder() -> Path:
    """A new folder that is gone when the test run ends, whatever happens to the machine that uses it."""
    folder = Path(tempfile.mkdtemp(prefix="tw-sim-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@lru_cache
def template() -> Path:
    """A migrated file to copy; it lives as long as the test run."""
    path = temporary_folder() / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


class StoreMachine(RuleBasedStateMachine):
    """Rules act as workers, a rescuer and a power cut; a plain model says what must come out.

    The model knows only who holds each fit, counted by claims: `held` maps a fit to its one valid claim.
    """

    STORE: ClassVar[type[PlanStore]] = PlanStore
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = temporary_folder()
        shutil.copyfile(template(), self.folder / "trainwright.db")
        self.database = CrashingDatabase(f"sqlite:///{self.folder}/trainwright.db")
        self.clock = Clock()
        self.held: dict[str, Claim] = {}
        self.until: dict[str, float] = {}
        self.ended: dict[str, str] = {}
        self.elapsed = 0.0
        self.seen = 0
        self.reopen()

    def reopen(self) -> None:
        """Start over with nothing but what is on disk, as after a crash."""
        self.database.close()
        self.database.crash = None
        self.store = self.STORE(self.database, clock=self.clock)

    @initialize(barrier=st.sampled_from(["plan", "job"]))
    def accept(self, barrier: str) -> None:
        jobs = [cs_job(name, families=("LightGBM", "LSTM")) for name in ("a", "b")]
        self.plan = plan_of(*jobs, barrier=barrier)
        self.store.accept(self.plan, source="s", name="n")
        self.stage = {fit.id: fit.stage for fit in self.plan.fits}
        self.job = {fit.id: fit.job_id for fit in self.plan.fits}

    @rule(target=claims, worker=st.sampled_from("uvw"))
    def claim_cpu(self, worker: str) -> Any:
        return self.claim(worker, "cpu")

    @rule(target=claims, worker=st.sampled_from("uvw"))
    def claim_gpu(self, worker: str) -> Any:
        return self.claim(worker, "gpu")

    def claim(self, worker: str, stage: str) -> Any:
        claimed = self.store.claim(worker, stage=stage, limit=2, lease_seconds=LEASE_SECONDS)
        for claim in claimed:
            assert claim.fit_id not in self.held, "a fit has two holders"
            assert claim.fit_id not in self.ended, "a final fit was claimed"
            self.require_barrier(claim)
        for claim in claimed:
            self.held[claim.fit_id] = claim
            self.until[claim.fit_id] = self.elapsed + LEASE_SECONDS
        return multiple(*claimed)

    def require_barrier(self, claim: Claim) -> None:
        if claim.stage == "gpu":
            for fit_id, stage in self.stage.items():
                same = self.plan.stage_barrier == "plan" or self.job[fit_id] == claim.job_id
                assert stage == "gpu" or not same or fit_id in self.ended, (
                    "a GPU fit went before its CPU stage"
                )

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        if self.allowed(claim, lambda: self.store.renew(claim)):
            self.until[claim.fit_id] = self.elapsed + LEASE_SECONDS

    @rule(claim=claims, step=st.integers(1, 9))
    def work(self, claim: Claim, step: int) -> None:
        self.allowed(claim, lambda: self.store.started(claim, STARTED))
        self.allowed(claim, lambda: self.store.checkpointed(claim, checkpoint(step)))

    @rule(claim=consumes(claims), outcome=st.sampled_from(["succeeded", "failed", "retry", "released"]))
    def end(self, claim: Claim, outcome: str) -> None:
        self.finish(claim, outcome)

    @rule(claim=claims, outcome=st.sampled_from(["succeeded", "failed", "released"]))
    def end_and_repeat(self, claim: Claim, outcome: str) -> None:
        """End a fit and keep the claim: every later word under it is stale."""
        self.finish(claim, outcome)

    @rule(seconds=st.floats(0, 200, allow_nan=False))
    def wait(self, seconds: float) -> None:
        self.clock.move(seconds)
        self.elapsed += round(seconds, 6)

    @rule()
    def rescue(self) -> None:
        taken = {rescue.fit_id for rescue in self.store.rescue()}
        for fit_id in list(self.held):
            margin = self.elapsed - self.until[fit_id]
            assert margin > -0.001 or fit_id not in taken, "a living lease was taken back"
            assert margin < 0.001 or fit_id in taken, "a dead lease was left"
        for fit_id in taken:
            del self.held[fit_id]

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        moment=st.sampled_from(["before", "after"]),
        outcome=st.sampled_from(["succeeded", "work"]),
    )
    def crash(self, data: st.DataObject, moment: str, outcome: str) -> None:
        """The power goes around the commit of a valid word: it is there whole, or not at all."""
        claim = self.held[data.draw(st.sampled_from(sorted(self.held)))]
        self.database.crash = moment
        with suppress(Crashed):
            if outcome == "succeeded":
                self.store.succeeded(claim, SUCCEEDED)
            else:
                self.store.checkpointed(claim, checkpoint(1))
        self.reopen()
        if outcome == "succeeded" and moment == "after":
            self.ended[claim.fit_id] = "succeeded"
            del self.held[claim.fit_id]

    def finish(self, claim: Claim, outcome: str) -> None:
        word = {
            "succeeded": lambda: self.store.succeeded(claim, SUCCEEDED),
            "failed": lambda: self.store.failed(claim, Failure(cause="library", sentence="no")),
            "retry": lambda: self.store.failed(
                claim, Failure(cause="library", sentence="no", retryable=True)
            ),
            "released": lambda: self.store.released(claim, FitReleased(cause="stop")),
        }[outcome]
        if self.allowed(claim, word):
            del self.held[claim.fit_id]
            state = self.store.reading.fit(claim.fit_id).state
            if state in FINAL_STATES:
                self.ended[claim.fit_id] = state
            expected = {"succeeded": ("succeeded",), "failed": ("failed",), "released": ("ready",)}
            assert state in expected.get(outcome, ("ready", "failed")), "an outcome led to another state"

    def allowed(self, claim: Claim, word: Any) -> bool:
        """Say a word; it must be taken from the holder, and refused from anybody else. Returns which."""
        current = self.held.get(claim.fit_id)
        valid = current is not None and current.fence == claim.fence
        try:
            word()
        except LeaseLost:
            assert not valid, "the holder's word was refused"
            return False
        assert valid, "a stale word was taken"
        return True

    @invariant()
    def log_grows_and_projections_follow(self) -> None:
        """No event is ever lost, and every row is what a fold from the beginning gives."""
        head = self.store.head_seq()
        assert head >= self.seen, "acknowledged events are gone"
        self.seen = head
        with self.database.snapshot() as tx:
            rows: MemoryRows = fold_log(tx)[0]
        folded = {kind.TABLE: sorted(row_of(row) for row in rows.of(kind).values()) for kind in STATE_TYPES}
        live = {name: sorted(found) for name, found in projected_rows(self.database).items()}
        assert live == folded, "a projection does not follow from the log"

    @invariant()
    def final_fits_stay_final(self) -> None:
        states = {fit.id: fit.state for fit in self.store.reading.fits()}
        assert all(states[fit_id] == state for fit_id, state in self.ended.items()), "a final fit moved"

    def teardown(self) -> None:
        verdict = self.store.verify()
        self.database.close()
        shutil.rmtree(self.folder)
        assert verdict.problems == (), "verify found problems"
