"""Jobs that Ray knows and this daemon did not submit: left by one before it, or no longer wanted.

A job belongs to this log when the log has the claim it names, by the worker it names. Where none of its
claims is current it is stopped. One of this host whose fits go on counts among the host's jobs again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog

from daemon.engine.client import RayClient, RayJob
from daemon.engine.flight import EngineRun, Flight
from daemon.engine.questions import Asking, Question
from daemon.engine.submissions import claims_of, host_of_job, worker_of
from daemon.engine.watch import Look
from store.plan_store import PlanStore

log = structlog.get_logger("engine")

STOP_AGAIN_SECONDS = 10.0


class KnownJobs:
    """Judges what a look shows; `is_settled` once it has judged one whole look."""

    def __init__(
        self,
        store: PlanStore,
        client: RayClient,
        asking: Asking,
        host: str,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._client, self._asking, self._host, self._clock = store, client, asking, host, clock
        self._ours: dict[str, bool] = {}  # job -> whether it belongs to this log
        self._stopped: dict[str, tuple[float, Question[bool]]] = {}
        self.is_settled = False

    def judge(self, look: Look, flying: Collection[str]) -> list[Flight]:
        """Stop what nobody wants any more, and return this host's jobs that go on.

        Raises DatabaseUnavailable.

        Args:
            look: what Ray knows.
            flying: the jobs that are this daemon's already.
        """
        going = {job.id: job for job in look.jobs.values() if not job.ended}
        self._ours = {job_id: known for job_id, known in self._ours.items() if job_id in going}
        self._stopped = {job_id: asked for job_id, asked in self._stopped.items() if job_id in going}
        adopted = []
        for job in going.values():
            if job.id not in flying and claims_of(job) and self._is_ours(job):
                flight = self._judged(job)
                adopted.extend([] if flight is None else [flight])
        self.is_settled = True
        return adopted

    def _judged(self, job: RayJob) -> Flight | None:
        """Stop a job of this log that has no current claim; return the flight of one that goes on here."""
        claims = claims_of(job)
        held = self._store.reading.fences([fit_id for fit_id, _ in claims])
        current = [(fit_id, fence) for fit_id, fence in claims if held.get(fit_id) == fence]
        if not current:
            self._stop(job)
            return None
        if host_of_job(job) != self._host:
            return None
        flight = Flight(job.id, None, self._client, self._asking, self._clock, job=job, is_shared=True)
        for fit_id, fence in current:
            row = self._store.reading.fit(fit_id)
            flight.runs.append(
                EngineRun(
                    fit_id=fit_id,
                    fence=fence,
                    name=row.name,
                    plan_id=row.plan_id,
                    stage=row.stage,
                    attempt=row.attempt,
                    claim=None,
                    flight=flight,
                )
            )
        log.info("job goes on", job=job.id, fits=[run.name for run in flight.runs])
        return flight

    def _is_ours(self, job: RayJob) -> bool:
        """Whether this log has the first claim that a job names, made by whom it names."""
        if job.id not in self._ours:
            fit_id, fence = claims_of(job)[0]
            claimed = self._store.events(fit=fit_id, kinds=("FitClaimed",))
            self._ours[job.id] = any(
                event.version == fence and event.data.get("worker") == worker_of(job) for event in claimed
            )
        return self._ours[job.id]

    def _stop(self, job: RayJob) -> None:
        asked_at, question = self._stopped.get(job.id, (float("-inf"), None))
        if self._clock() - asked_at < STOP_AGAIN_SECONDS or (question is not None and not question.done):
            return
        if question is None:
            log.warning("a job whose claims are no longer current is stopped", job=job.id, status=job.status)
        self._stopped[job.id] = (self._clock(), self._asking.ask(lambda: self._client.stop(job.id)))
