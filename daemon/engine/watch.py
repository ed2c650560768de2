"""What is known of the cluster: looked at again and again by a thread, told to the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from daemon.engine.client import Cluster, RayClient, RayJob
from daemon.engine.errors import RayUnsafe
from daemon.engine.questions import Asking, Question, Trouble

log = structlog.get_logger("engine")

BUSY_SECONDS, IDLE_SECONDS = 2.0, 15.0  # between two looks, while jobs are under way and while none are
SILENT_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The cluster and the jobs it knows, as of some moment after `asked_at` (of the monotonic clock)."""

    cluster: Cluster
    jobs: Mapping[str, RayJob] = field(default_factory=dict)
    asked_at: float


class Watch:
    """Keeps the newest look, and what is wrong when there is none."""

    def __init__(self, client: RayClient, asking: Asking, clock: Callable[[], float]) -> None:
        self._client, self._asking, self._clock = client, asking, clock
        self._question: Question[Look] | None = None
        self._look_at = float("-inf")
        self._troubles = 0
        self.look: Look | None = None
        self.trouble: Trouble | None = None

    @property
    def words(self) -> str | None:
        """What is wrong, as a line; None when nothing is."""
        return None if self.trouble is None else str(self.trouble)

    @property
    def is_unsafe(self) -> bool:
        """Whether nothing may be sent there, however well it answers."""
        return isinstance(self.trouble, RayUnsafe)

    def turn(self, *, busy: bool) -> bool:
        """Hear the answer and ask anew when it is time; whether there is a new look."""
        question, now = self._question, self._clock()
        if question is not None and question.done:
            self._question = None
            self._hear(question, now, busy=busy)
            return question.answer is not None
        if busy and self.trouble is None:
            self._look_at = min(self._look_at, now + BUSY_SECONDS)
        if question is None and now >= self._look_at:
            self._question = self._asking.ask(lambda: self._see(now))
        return False

    def _hear(self, question: Question[Look], now: float, *, busy: bool) -> None:
        if question.answer is None:
            self._troubles += 1
            if str(question.trouble) != self.words:
                log.error("the cluster takes no fits", cause=str(question.trouble))
            self.trouble = question.trouble
            self._look_at = now + min(SILENT_SECONDS_MAX, 0.5 * 2.0 ** min(self._troubles, 10))
            return
        if self.trouble is not None or self.look is None:
            cluster = question.answer.cluster
            log.info("the cluster takes fits", at=self._client.place, ray=cluster.version, gpus=cluster.gpus)
        self._troubles, self.trouble, self.look = 0, None, question.answer
        self._look_at = now + (BUSY_SECONDS if busy else IDLE_SECONDS)

    def _see(self, asked_at: float) -> Look:
        """Look at the cluster, and only then at its jobs; called in a thread."""
        cluster = self._client.cluster()
        jobs = {job.id: job for job in self._client.jobs()}
        return Look(cluster=cluster, jobs=jobs, asked_at=asked_at)
