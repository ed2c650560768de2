"""A cluster that is a dictionary, agents that are a few words, and a host between them and a real log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from daemon_samples import FakeClock, accept, job, settings_in

from daemon.engine.client import Cluster, RayJob, Submission
from daemon.engine.dispatcher import EngineDispatcher
from daemon.engine.errors import RaySilent
from daemon.engine.questions import Asking, Question, Trouble
from daemon.engine.submissions import claims_of
from daemon.identity import own_identity
from daemon.news import News
from store import PlanStore
from store.errors import LeaseLost
from store.events import FitReleased, FitStarted, FitSucceeded
from store.records import Claim

T = TypeVar("T")
AGENT = "node/boot/1/2/3/machine"


class AskedAtOnce(Asking):
    """Makes each call here and now."""

    def ask(self, call: Callable[[], T]) -> Question[T]:
        """Make the call."""
        question = Question(call)
        question.ask()
        return question


class FakeRay:
    """What a client of Ray is asked; `forgets` is a head that is started anew."""

    place = "http://ray.test:8265"

    def __init__(self) -> None:
        self.known: dict[str, RayJob] = {}
        self.submitted: list[Submission] = []  # those that were taken
        self.refused: list[str] = []  # the ids that it had
        self.stopped: list[str] = []
        self.gpus: float | None = None
        self.session = 1
        self.trouble: Trouble | None = None  # with every call
        self.submit_trouble: Trouble | None = None
        self.loses_answers = 0  # to so many submissions, which are heard all the same
        self.on_stop: Callable[[str], None] = lambda _: None
        self.on_submit: Callable[[Submission], None] = lambda _: None

    def cluster(self) -> Cluster:
        """A sound one."""
        self._answer()
        return Cluster(version="2.60.0", session=f"s{self.session}", gpus=self.gpus)

    def submit(self, submission: Submission) -> bool:
        """Take a job whose id is new."""
        self._answer()
        if self.submit_trouble is not None:
            raise self.submit_trouble
        if submission.id in self.known:
            self.refused.append(submission.id)
            return self._told(new=False)
        self.on_submit(submission)
        self.submitted.append(submission)
        self.known[submission.id] = RayJob(id=submission.id, status="PENDING", metadata=submission.metadata)
        return self._told(new=True)

    def jobs(self) -> tuple[RayJob, ...]:
        """All it knows."""
        self._answer()
        return tuple(self.known.values())

    def stop(self, job_id: str) -> bool:
        """End a job."""
        self._answer()
        self.stopped.append(job_id)
        self.on_stop(job_id)
        if job_id in self.known and not self.known[job_id].ended:
            self.says(job_id, "STOPPED")
        return job_id in self.known

    def forget(self, job_id: str) -> bool:
        """Know a job no more."""
        self._answer()
        return self.known.pop(job_id, None) is not None

    def says(self, job_id: str, status: str, message: str = "") -> None:
        """Tell this of a job from now on, true or not."""
        metadata = self.known[job_id].metadata
        self.known[job_id] = RayJob(id=job_id, status=status, message=message, metadata=metadata)

    def forgets(self) -> None:
        """Be a head that was killed and started anew."""
        self.known.clear()
        self.session += 1

    def _told(self, *, new: bool) -> bool:
        if self.loses_answers:
            self.loses_answers -= 1
            raise SILENT
        return new

    def _answer(self) -> None:
        if self.trouble is not None:
            raise self.trouble


SILENT = RaySilent("Ray does not answer: connection refused", where=FakeRay.place)


class EngineStage:
    """A host whose fits go to a fake cluster."""

    def __init__(
        self,
        directory: Path,
        store: PlanStore,
        *,
        dispatching: type[EngineDispatcher] = EngineDispatcher,
        **settings: Any,
    ) -> None:
        self.dispatching = dispatching
        self.store, self.ray, self.clock = store, FakeRay(), FakeClock()
        self.news: list[News] = []
        given = {"engine": "ray", "ray_slots": 4, "gpu_slots": 1, **settings}
        self.settings = settings_in(directory, **given)
        self.worker = own_identity().worker
        self.dispatcher = self.made()

    def made(self, worker: str | None = None, **more: Any) -> EngineDispatcher:
        """Another dispatcher of this host, as after a start."""
        return self.dispatching(
            self.settings,
            self.store,
            worker=worker or self.worker,
            client=self.ray,  # type: ignore[arg-type]
            tell=self.news.append,
            clock=self.clock,
            **more,
        )

    def accept(self, *families: str, **metadata: Any) -> str:
        """Accept a plan of one job with these families; returns its id."""
        return accept(self.store, job(families or ("LightGBM",)), **metadata)

    def turns(self, count: int = 1, *, seconds: float = 1.0) -> None:
        """Take turns of the loop, so far apart."""
        for _ in range(count):
            self.clock.now += seconds
            self.dispatcher.tick()

    def claims(self, at: int = -1) -> tuple[tuple[str, int], ...]:
        """The claims of a job that was submitted."""
        found = RayJob(id="", status="", metadata=self.ray.submitted[at].metadata)
        return claims_of(found)


def begins(store: PlanStore, ray: FakeRay, submission: Submission, worker: str = AGENT) -> list[Claim]:
    """Be an agent that starts: take over all that a job was sent with; refused claims are left out."""
    taken = []
    for fit_id, fence in claims_of(RayJob(id="", status="", metadata=submission.metadata)):
        try:
            taken.append(store.take_over(fit_id, fence, worker))
        except LeaseLost:
            continue
    if submission.id in ray.known and taken:
        ray.says(submission.id, "RUNNING")
    return taken


def started() -> FitStarted:
    """The word of a child that has begun."""
    told: Mapping[str, Any] = {"device_requested": "cpu", "device_used": "cpu", "device_reason": "a test"}
    return FitStarted(
        pid=1, resumed_from_step=None, rows_train=1, rows_valid=1, rows_test=1, log="log", **told
    )


def succeeds(store: PlanStore, claim: Claim) -> None:
    """Be an agent whose fit ends well."""
    store.started(claim, started())
    store.succeeded(
        claim, FitSucceeded(bundle="bundle", sha256="0" * 64, metrics={"score": 0.1}, seconds=1.0)
    )


def gives_back(store: PlanStore, claim: Claim) -> None:
    """Be an agent that is told to stop."""
    store.released(claim, FitReleased(cause="asked from outside", step=None))
