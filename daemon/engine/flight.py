"""A job on its way: submitted until Ray has it, then a hint of how the fits in it fare.

What a fit is, the event log says. Ray is asked to take the job, to end it when nothing in it counts any more,
and to forget it when it went well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from daemon.engine.client import RayClient, RayJob, Submission
from daemon.engine.errors import RayRefused, RayUnsafe
from daemon.engine.questions import Asking, Question, Trouble
from daemon.engine.watch import Look
from store.records import Claim

log = structlog.get_logger("engine")

RENEW_SECONDS_MAX = 5.0  # between two renewals, at which is seen that an agent has taken over
WENT_WELL = "SUCCEEDED"
AGAIN_SECONDS = 1.0  # until a job that was not heard of is submitted again
GRACE_SECONDS = 5.0  # for an agent to see by itself that its fits are taken from it
WAITING_TOLD_SECONDS = 300.0  # after which the log says what Ray says of a job that does not begin


class NoProcess:
    """What stands for the process of a fit that runs elsewhere: there is nothing here to wait for."""

    pid = 0
    returncode: int | None = None

    def fileno(self) -> int:
        """No descriptor."""
        return -1


@dataclass(slots=True, eq=False)
class EngineRun:
    """One fit in a job. `claim` is ours until an agent has taken it over; then it is the agent's alone."""

    fit_id: str
    fence: int
    name: str
    plan_id: str
    stage: str
    attempt: int
    claim: Claim | None
    flight: Flight
    renew_at: float = 0.0
    child: NoProcess = field(default_factory=NoProcess)

    def kept(self, now: float) -> None:
        """Note that its lease was renewed now, of the monotonic clock."""
        if self.claim is not None:
            self.renew_at = now + min(self.claim.lease_seconds / 3, RENEW_SECONDS_MAX)

    def stop(self, cause: str) -> None:
        """Ask that it be given back: the agent saves its state when Ray asks it to stop."""
        self.flight.give_back(cause)


@dataclass(slots=True, eq=False)
class Flight:
    """A job and the fits in it that have not ended.

    Attributes:
        id: under which Ray knows it.
        submission: what is submitted; None for a job that a daemon before this one submitted.
        runs: its fits that have not ended.
        began_at: when it was made, by the monotonic clock.
        leaving: why its fits are given back, once they are.
        job: what Ray told of it last.
        is_shared: whether an agent has taken over any of its fits.
    """

    id: str
    submission: Submission | None
    client: RayClient
    asking: Asking
    clock: Callable[[], float]
    runs: list[EngineRun] = field(default_factory=list)
    began_at: float = 0.0
    leaving: str | None = None
    job: RayJob | None = None
    is_shared: bool = False
    _submitting: Question[bool] | None = None
    _stopping: Question[bool] | None = None
    _taken_at: float | None = None  # when Ray was known to have it
    _again_at: float = float("-inf")
    _silent_since: float | None = None
    _idle_since: float | None = None
    _waiting_told: bool = False

    @classmethod
    def of(
        cls, submission: Submission, claims: Sequence[Claim], client: RayClient, asking: Asking,
        clock: Callable[[], float],
    ) -> Flight:  # fmt: skip
        """Return the flight of a new job."""
        flight = cls(submission.id, submission, client, asking, clock, began_at=clock())
        for claim in claims:
            run = EngineRun(
                fit_id=claim.fit_id,
                fence=claim.fence,
                name=f"{claim.job_id}/{claim.family}",
                plan_id=claim.plan_id,
                stage=claim.stage,
                attempt=claim.attempt,
                claim=claim,
                flight=flight,
            )
            run.kept(clock())
            flight.runs.append(run)
        return flight

    @property
    def ours(self) -> list[EngineRun]:
        """The fits that no agent has taken over."""
        return [run for run in self.runs if run.claim is not None]

    @property
    def is_taken(self) -> bool:
        """Whether Ray is known to have it."""
        return self._taken_at is not None

    def give_back(self, cause: str) -> None:
        """Have it stopped, and its fits given back."""
        self.leaving = self.leaving or cause

    def silent_for(self) -> float:
        """Return for how many seconds Ray has not said whether it took the job."""
        return 0.0 if self._silent_since is None else self.clock() - self._silent_since

    def submit(self) -> Trouble | None:
        """Go on submitting until Ray has it; returns what is wrong with it for good."""
        if self.submission is None or self.is_taken:
            return None
        question, submission, now = self._submitting, self.submission, self.clock()
        if question is None:
            if now >= self._again_at and self.leaving is None and self.ours:
                self._submitting = self.asking.ask(lambda: self.client.submit(submission))
            return None
        if not question.done:
            return None
        self._submitting = None
        if question.trouble is None:
            self._taken_at, self._silent_since = now, None
            log.info("job submitted", job=self.id, fits=[run.name for run in self.runs], new=question.answer)
            return None
        if isinstance(question.trouble, RayRefused | RayUnsafe):
            return question.trouble
        self._silent_since = now if self._silent_since is None else self._silent_since
        self._again_at = now + AGAIN_SECONDS
        return None

    def hear(self, look: Look) -> bool:
        """Take note of what Ray says of it; whether it is over there although fits of it are still ours."""
        if self._taken_at is None or look.asked_at < self._taken_at:
            return False
        self.job = look.jobs.get(self.id)
        if self.job is None:
            if self.submission is not None and self.ours:
                self._taken_at = None  # the head was started anew and knows nothing: the same again
            return False
        self._tell_waiting(self.job)
        return self.job.ended and bool(self.ours)

    def wind_up(self) -> bool:
        """See that nothing of it is left once its fits have ended or are given back; True when that is so."""
        if self._submitting is not None:
            return False
        if self.submission is not None and not self.is_taken:
            return True  # where Ray has it all the same, the next look finds it
        now = self.clock()
        self._idle_since = now if self._idle_since is None else self._idle_since
        if self.job is not None and self.job.ended:
            if self.job.status == WENT_WELL:
                self.asking.ask(lambda: self.client.forget(self.id))
            return True
        if self.leaving is None and now - self._idle_since < GRACE_SECONDS:
            return False
        return self.stop()

    def stop(self) -> bool:
        """Have Ray end the job; whether that was answered. It is asked once, and found again by a look."""
        if self._stopping is None:
            self._stopping = self.asking.ask(lambda: self.client.stop(self.id))
        return self._stopping.done

    def await_stop(self, seconds: float) -> None:
        """Wait until Ray has heard that it is to end the job, if it was asked."""
        if self._stopping is not None:
            self._stopping.wait(seconds)

    def _tell_waiting(self, job: RayJob) -> None:
        waits = self.clock() - self.began_at > WAITING_TOLD_SECONDS and job.status == "PENDING"
        if waits and not self._waiting_told:
            self._waiting_told = True
            log.warning("a job waits in the cluster", job=self.id, cause=job.message)
