"""Ready fits times free places of a cluster: claims, submits jobs that run our agent, and follows both.

It has the face of the dispatcher that starts processes here. A claim comes first, and is kept by this host
until an agent has taken it over; from then on the agent renews it and says what comes of it, as every worker
does. What Ray says is a hint: it may cost a fit a wait, never its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import structlog

from daemon.dispatcher import CLAIMED_FIRST, LOOK_AGAIN_SECONDS
from daemon.engine.client import RayClient
from daemon.engine.flight import EngineRun, Flight
from daemon.engine.known_jobs import KnownJobs
from daemon.engine.questions import Asking
from daemon.engine.submissions import GPU_LABEL, alike, submission_of
from daemon.engine.telling import EngineTelling
from daemon.engine.watch import Watch
from daemon.news import Tell, keep_quiet
from daemon.settings import Settings
from store.errors import DatabaseUnavailable, LeaseLost
from store.events import FitReleased
from store.ids import host_of
from store.plan_store import PlanStore

log = structlog.get_logger("engine")

SILENT_SECONDS_MAX = 60.0  # for so long claims are kept for a cluster that does not answer
REST_SECONDS, REST_SECONDS_MAX = 5.0, 300.0  # after jobs that end before they have begun
STOP_SECONDS = 2.0  # at the end, for Ray to hear which jobs are not wanted any more
_GPU_STAGE = "gpu"


class EngineDispatcher:
    """Holds the jobs this host has in the cluster; all but the calls to Ray happens in the loop's thread."""

    live = frozenset(
        {
            *(
                "ray_slots",
                "ray_fits_per_job",
                "ray_command",
                "ray_config",
                "threads_per_fit",
                "lease_seconds",
            ),
            *("gpu_fallback", "gpu_slots", "labels", "priority_step_seconds", "share_step_seconds"),
        }
    )

    def __init__(
        self,
        settings: Settings,
        store: PlanStore,
        *,
        worker: str,
        client: RayClient,
        plans: Collection[str] | None = None,
        tell: Tell = keep_quiet,
        begin: object = None,  # noqa: ARG002 - what starts a process here; nothing is started here
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._store, self._worker, self._plans = settings, store, worker, plans
        store.order = settings.claim_order
        self._client, self._asking, self._clock = client, Asking(), clock
        self._watch = Watch(client, self._asking, clock)
        self._known = KnownJobs(store, client, self._asking, host_of(worker), clock)
        self._telling = EngineTelling(settings, store, tell)
        self._flights: list[Flight] = []
        self._seen_seq, self._look_at, self._checked_seq = -1, float("-inf"), -1
        self._rests, self._rest_until = 0, float("-inf")
        self._stopping = False
        self.is_draining = False
        self.expecting = True  # whether a plan is open, as far as the last look told
        self.beat: Callable[[], None] = lambda: None  # called between two steps that may each take a while

    @property
    def running(self) -> list[EngineRun]:
        """The fits in the cluster, those that wait there among them."""
        return [run for flight in self._flights for run in flight.runs]

    @property
    def trouble(self) -> str | None:
        """Why nothing is submitted, as a line; None while all is well."""
        return None if self._watch.words is None else f"no fit is given to Ray: {self._watch.words}"

    def reload(self, settings: Settings) -> None:
        """Submit by these settings from now on; jobs that are under way keep what they have."""
        self._settings = settings
        self._store.order = settings.claim_order
        self._telling.reload(settings)
        self._seen_seq = -1

    def tick(self) -> None:
        """See what became of the fits, hear the cluster, keep the claims, then fill the free places."""
        self.check_leases()
        self.listen()
        self.fill()

    def check_leases(self) -> None:
        """Let go of every fit that has ended, was cancelled or taken back; asked when the log has moved.

        Raises:
            RayUnsafe: of a drain, whose person waits for fits that will never be submitted.
        """
        if self._plans is not None and self._watch.trouble is not None and self._watch.is_unsafe:
            raise self._watch.trouble
        runs = self.running
        if not runs:
            return
        try:
            head = self._store.head_seq()
            if head == self._checked_seq:
                return
            held = self._store.reading.fences([run.fit_id for run in runs])
        except DatabaseUnavailable:
            return  # what was claimed is kept, or lost, when the event log answers again
        self._checked_seq = head
        for run in runs:
            if held.get(run.fit_id) != run.fence:
                self._end(run)

    def listen(self) -> None:
        """Hear what Ray answered, keep what no agent has taken over yet, and see jobs off that are over."""
        self._renew()
        if self._watch.turn(busy=bool(self._flights)):
            self._hear_look()
        for flight in list(self._flights):
            self.beat()
            if (trouble := flight.submit()) is not None:
                log.error("job not submitted", job=flight.id, cause=str(trouble))
                self._rest()
                self._release(flight, f"Ray did not take its job: {trouble.what}")
            elif flight.silent_for() > SILENT_SECONDS_MAX:
                self._release(flight, "Ray does not answer")
            if flight.leaving is not None:
                self._release(flight, flight.leaving)
                if flight.is_taken:
                    flight.stop()
            if not flight.runs and flight.wind_up():
                self._flights.remove(flight)

    def fill(self) -> None:
        """Claim ready fits for the free places and submit them; only while the cluster answers."""
        free = self._settings.ray_slots - len(self.running)
        look = self._watch.look
        if self._stopping or self.is_draining or free <= 0 or look is None or self._watch.trouble is not None:
            return
        if not self._known.is_settled or self._clock() < self._rest_until:
            return
        try:
            head = self._store.head_seq()
            if head == self._seen_seq and self._clock() < self._look_at:
                return
            prospect = self._store.reading.prospect()
            self.expecting = prospect.open
            if sum(self._fill_stage(stage) for stage in CLAIMED_FIRST if stage in prospect.ready) == 0:
                self._seen_seq, self._look_at = head, self._clock() + LOOK_AGAIN_SECONDS
        except DatabaseUnavailable as error:
            log.warning("no fits claimed: the event log does not answer", cause=str(error))

    def give_back(self, cause: str) -> int:
        """Have every fit saved, stopped and given back; returns how many were asked."""
        asked = len(self.running)
        for flight in self._flights:
            flight.give_back(cause)
        return asked

    def ask_to_stop(self, cause: str) -> None:
        """Submit nothing more and give back what no agent has taken over; agents go on without us."""
        self._stopping = True
        for flight in self._flights:
            self._release(flight, cause)
            flight.runs = flight.ours  # of which the log could not be told
            if not flight.is_shared:
                flight.give_back(cause)
                flight.stop()
        self._flights = [flight for flight in self._flights if not flight.is_shared]

    def end_all(self) -> int:
        """Let go of everything once told to stop; what could not be said is left to its lease.

        Returns how many fits were ended: none, for they run elsewhere, where Ray ends what was stopped.
        """
        if self._stopping:
            until = self._clock() + STOP_SECONDS
            for flight in self._flights:
                flight.await_stop(until - self._clock())
            self._asking.close()
            self._flights = []
        return 0

    def _fill_stage(self, stage: str) -> int:
        free = self._settings.ray_slots - len(self.running)
        gpus = self._watch.look.cluster.gpus if self._watch.look is not None else None
        without = gpus == 0
        if free <= 0 or (without and stage == _GPU_STAGE and self._settings.gpu_fallback == "never"):
            return 0
        labels = self._settings.own_labels
        claims = self._store.claim(
            self._worker,
            stage=stage,
            limit=free,
            lease_seconds=self._settings.lease_seconds,
            plans=self._plans,
            host=host_of(self._worker),
            labels=[label for label in labels if not (without and label == GPU_LABEL)],
        )
        for group in alike(claims, most=self._settings.ray_fits_per_job):
            submission = submission_of(group, self._settings, gpus=gpus)
            flight = Flight.of(submission, group, self._client, self._asking, self._clock)
            self._flights.append(flight)
            flight.submit()
        return len(claims)

    def _hear_look(self) -> None:
        look = self._watch.look
        if look is None:
            return
        for flight in self._flights:
            if flight.hear(look):
                message = flight.job.message if flight.job is not None else ""
                if self._release(flight, f"its job ended before it began: {message}"):
                    log.warning("a job ended before it began", job=flight.id, cause=message)
                    self._rest()
        try:
            self._flights.extend(self._known.judge(look, {flight.id for flight in self._flights}))
        except DatabaseUnavailable:
            return  # the next look will do

    def _renew(self) -> None:
        """Keep what no agent has taken over, all of it in one word; learn of what one has."""
        now = self._clock()
        due = [run for run in self.running if run.claim is not None and now >= run.renew_at]
        if not due:
            return
        try:
            claims = [run.claim for run in due if run.claim is not None]
            answers = self._store.say_each((), renewing=claims).renewed
        except DatabaseUnavailable as error:
            log.warning("claims not renewed: the event log does not answer", cause=str(error))
            return
        for run, answer in zip(due, answers, strict=True):
            if isinstance(answer, LeaseLost):
                self._lose(run, answer)
            else:
                run.kept(now)

    def _release(self, flight: Flight, cause: str) -> int:
        """Give back what no agent has taken over, and return how many fits that were.

        What cannot be said now is said at the next turn.
        """
        released = 0
        for run in flight.ours:
            if run.claim is None:
                continue
            step = run.claim.checkpoint.step if run.claim.checkpoint else None
            try:
                self._store.released(run.claim, FitReleased(cause=cause, step=step))
            except LeaseLost as lost:
                self._lose(run, lost)
            except DatabaseUnavailable:
                break
            else:
                released += 1
                self._end(run)
        return released

    def _lose(self, run: EngineRun, lost: LeaseLost) -> None:
        """Take note of who has a fit now: an agent under our fence, or nobody we know."""
        if lost.worker is None or lost.worker == self._worker:
            self._end(run)
            return
        run.claim, run.flight.is_shared = None, True
        self._rests = 0  # jobs begin
        log.info("fit taken over", name=run.name, job=run.flight.id, worker=lost.worker)

    def _end(self, run: EngineRun) -> None:
        """Let go of a fit, and tell what came of it."""
        run.flight.runs.remove(run)
        self._telling.ended(run)

    def _rest(self) -> None:
        """Submit nothing for a while: jobs that end before they begin would be submitted without end."""
        seconds = min(REST_SECONDS_MAX, REST_SECONDS * 2.0**self._rests)
        self._rests = min(self._rests + 1, 10)
        self._rest_until = self._clock() + seconds
        log.warning("nothing is submitted for a while", seconds=seconds)
