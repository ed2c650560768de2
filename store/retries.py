"""What follows from a failure: whether the fit is tried again, when, and whether the attempt counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from store.events import FitFailed
from store.moments import MICROSECONDS, moment_of
from store.records import Failure
from store.state import FitState

# Tried again at once: the work was not at fault, its process was ended from outside.
LOST_WORKER = "lost_worker"
# Waited for: the host lacks something that a person or time brings back; no attempt is used up.
DISK_FULL = "disk_full"
OUT_OF_MEMORY = "out_of_memory"
# Never tried again: the same input fails in the same way, and what took too long once takes too long again.
BAD_INPUT = "bad_input"
TIME_LIMIT = "time_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a fit is tried and how long it waits, by the cause of the failure.

    Attributes:
        attempts_max: failures of its own after which a fit is final (the dead letters: state failed).
        expiries_max: leases that ended without a last word, or lost processes, after which it is final.
        backoff_seconds: wait after the first failure; it doubles with each further one.
        backoff_seconds_max: longest wait.
        memory_seconds: wait after the first failure for want of memory, while others may give theirs back.
        disk_seconds: wait after a full disk.
    """

    attempts_max: int = 3
    expiries_max: int = 10
    backoff_seconds: float = 5.0
    backoff_seconds_max: float = 600.0
    memory_seconds: float = 60.0
    disk_seconds: float = 30.0

    def backoff(self, failures: int, *, first_seconds: float | None = None) -> float:
        """Return the seconds to wait after so many failures: doubling, capped."""
        first = self.backoff_seconds if first_seconds is None else first_seconds
        return min(self.backoff_seconds_max, first * 2.0 ** max(0, failures - 1))

    def verdict(self, fit: FitState, failure: Failure, *, now: int) -> FitFailed:
        """Return the event of a failed attempt; `now` is in microseconds since the epoch."""
        word = FitFailed(cause=failure.cause, sentence=failure.sentence, where=failure.where)
        match failure.cause:
            case "lost_worker":
                word = replace(word, counted=False)
                return _retried(word, now, 0.0) if fit.expiries + 1 < self.expiries_max else word
            case "disk_full":
                return _retried(replace(word, counted=False), now, self.disk_seconds)
            case "bad_input" | "time_limit":
                return word
            case cause:
                failures = fit.failures + 1
                if not failure.retryable or failures >= self.attempts_max:
                    return word
                first = self.memory_seconds if cause == OUT_OF_MEMORY else None
                return _retried(word, now, self.backoff(failures, first_seconds=first))


def _retried(word: FitFailed, now: int, wait_seconds: float) -> FitFailed:
    retry_at = moment_of(now + round(wait_seconds * MICROSECONDS)) if wait_seconds else None
    return replace(word, retry=True, retry_at=retry_at)
