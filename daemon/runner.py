"""One attempt at one fit: what the child reports becomes events, the lease is kept, the outcome ends it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from daemon.attempt_log import AttemptLog
from daemon.errors import ChildStopped
from daemon.identity import is_stopped
from daemon.limits import Limits
from daemon.news import FitBegan, FitEnded, FitMoved, Tell
from daemon.settings import Settings
from daemon.slots import Slot
from daemon.workplace import FitPlaces
from executors.contract import (
    Checkpointed,
    Failed,
    Outcome,
    Progressed,
    Report,
    Started,
    Stopped,
    Succeeded,
    is_outcome,
)
from store.errors import DatabaseUnavailable, LeaseLost
from store.events import CheckpointSaved, FitProgressed, FitReleased, FitStarted, FitSucceeded
from store.ids import new_event_id
from store.plan_store import PlanStore
from store.records import Claim, Failure

log = structlog.get_logger("runner")

SIGN_OF_LIFE_SECONDS = 1.0  # between two renewals at most: what a crash cost is then known to about a second


def about(claim: Claim) -> contextlib.AbstractContextManager[None]:
    """Bind plan, job, fit and attempt to every line of the log that is written inside, wherever it is."""
    return structlog.contextvars.bound_contextvars(
        plan=claim.plan_id, job=claim.job_id, fit=claim.fit_id, attempt=claim.attempt
    )


class FitProcess(Protocol):
    """What a runner needs of a child process; `executors.process.Child` is one."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def returncode(self) -> int | None:
        """Exit code, None while it lives."""

    def fileno(self) -> int:
        """A descriptor readable when there is something to hear; -1 for none."""

    def reports(self) -> list[Report]:
        """Reports since the last call."""

    def outcome(self) -> Outcome | None:
        """How it ended, None while it lives."""

    def stop(self) -> None:
        """Ask it to save its state and end."""

    def kill(self) -> None:
        """End it now."""

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for its end; whether it has ended."""

    def close(self) -> None:
        """Let go of its pipes."""


@dataclass(frozen=True, slots=True)
class _Word:
    """Something to be recorded, with the id that makes saying it twice the same as once."""

    say: Callable[[bytes], object]
    event_id: bytes


class Runner:
    """Follows one child from claim to end. `listen` is called again and again until it returns True."""

    def __init__(
        self,
        claim: Claim,
        child: FitProcess,
        *,
        slot: Slot,
        store: PlanStore,
        places: FitPlaces,
        settings: Settings,
        tell: Tell,
        clock: Callable[[], float],
    ) -> None:
        self.claim, self.child, self.slot, self.places = claim, child, slot, places
        self.name = f"{claim.job_id}/{claim.family}"
        self._store, self._settings, self._tell, self._clock = store, settings, tell, clock
        self._began_at = clock()
        self._limits = Limits(
            settings, name=self.name, family=claim.family, began_at=self._began_at, log=places.log
        )
        self._file = AttemptLog(places.log, bytes_max=settings.fit_log_bytes, now=self._began_at)
        self._renew_at, self._lost_at = self._turns_of_the_lease(self._began_at)
        self._progress_at = float("-inf")
        self._saved_step = claim.checkpoint.step if claim.checkpoint else None
        self._unsaid: deque[_Word] = deque()
        self._stopping: str | None = None
        self._outcome: Outcome | None = None
        self._log = log.bind(name=self.name, fence=claim.fence)

    def listen(self) -> bool:
        """Record what the child said, keep the lease; True once the attempt is over and recorded.

        A lease that was lost ends the child at once; its late words are refused by the store.
        """
        with about(self.claim):
            return self._listen()

    def _listen(self) -> bool:
        try:
            self._hear()
            self._say_all()
            if self._outcome is None or self._unsaid:
                self._renew()
                return False
        except (LeaseLost, ChildStopped) as lost:
            self._give_up(lost)
        except DatabaseUnavailable as error:
            self._log.warning("the event log does not answer; the words are kept", cause=str(error))
            return False
        self.child.close()
        return True

    def doubt(self) -> None:
        """Ask at the next turn whether the lease is still held, whenever it was renewed."""
        self._renew_at = float("-inf")

    def stop(self, cause: str) -> None:
        """Ask the fit to save its state and stop; it is given back to be continued later."""
        if self._stopping is None:
            self._stopping = cause
            self.child.stop()

    def end(self) -> None:
        """End the child now; its lease is given back and its last checkpoint stays."""
        self._stopping = self._stopping or "ended"
        self.child.kill()
        self.child.wait(5)

    def _hear(self) -> None:
        ended = self.child.returncode is not None  # asked first: nothing can be written after it
        for report in self.child.reports():
            self._limits.hear(report, self._clock())
            if not is_outcome(report):
                self._note(report)
        if ended and self._outcome is None:
            outcome = self.child.outcome()
            if outcome is not None:
                self._note_end(self._limits.verdict(outcome))
            self._outcome = outcome
        elif not ended:
            self._limits.keep(self.child, self._clock())
            self._file.keep(self._clock())

    def _note(self, report: Report) -> None:
        match report:
            case Started():
                self._note_start(report)
            case Progressed():
                self._note_progress(report)
            case Checkpointed(step=step, path=path, seconds=seconds):
                self._saved_step = step
                word = CheckpointSaved(step=step, path=path, seconds=seconds)
                self._queue(lambda key: self._store.checkpointed(self.claim, word, event_id=key))
            case _:
                pass

    def _note_start(self, report: Started) -> None:
        word = FitStarted(
            pid=report.pid,
            device_requested=report.device_requested,
            device_used=report.device_used,
            device_reason=report.device_reason,
            resumed_from_step=report.resumed_from_step,
            resumed_from_attempt=self._attempt_of(report.resumed_from_fence),
            rows_train=report.rows_train,
            rows_valid=report.rows_valid,
            rows_test=report.rows_test,
            log=str(self.places.log),
        )
        self._queue(lambda key: self._store.started(self.claim, word, event_id=key))
        self._log.info(
            "fit started",
            pid=report.pid,
            device=report.device_used,
            reason=report.device_reason,
            resumed_from_step=report.resumed_from_step,
        )
        self._tell(
            FitBegan(
                fit=self.claim.fit_id,
                name=self.name,
                stage=self.claim.stage,
                attempt=self.claim.attempt,
                device_used=report.device_used,
                device_reason=report.device_reason,
                resumed_from_step=report.resumed_from_step,
                rows_train=report.rows_train,
            )
        )

    def _note_progress(self, report: Progressed) -> None:
        self._tell(
            FitMoved(
                fit=self.claim.fit_id,
                name=self.name,
                step=report.step,
                steps_total=report.steps_total,
                valid_loss=report.valid_loss,
            )
        )
        if self._clock() - self._progress_at < self._settings.progress_seconds:
            return
        self._progress_at = self._clock()
        word = FitProgressed(
            step=report.step,
            steps_total=report.steps_total,
            train_loss=report.train_loss,
            valid_loss=report.valid_loss,
        )
        self._queue(lambda key: self._store.progressed(self.claim, word, event_id=key))

    def _note_end(self, outcome: Outcome) -> None:
        match outcome:
            case Succeeded():
                self._write_metrics(outcome)
                self._queue(lambda key: self._succeed(outcome, key))
            case Failed() if self._stopping is not None:
                self._queue(lambda key: self._release(self._stopping or "", key))
            case Failed():
                self._queue(lambda key: self._fail(outcome, key))
            case Stopped(step=step):
                self._saved_step = step
                self._queue(lambda key: self._release(self._stopping or "asked from outside", key))

    def _succeed(self, outcome: Succeeded, event_id: bytes) -> None:
        word = FitSucceeded(
            bundle=outcome.bundle,
            sha256=outcome.bundle_sha256,
            metrics=outcome.metrics,
            seconds=self._seconds(),
        )
        self._store.succeeded(self.claim, word, event_id=event_id)
        shutil.rmtree(self.places.work, ignore_errors=True)
        with contextlib.suppress(OSError):  # other fits of the plan still work there
            self.places.work.parent.rmdir()
        self._log.info("fit succeeded", seconds=round(self._seconds(), 3), bundle=outcome.bundle)
        self._tell_end("succeeded", metrics=outcome.metrics, bundle=Path(outcome.bundle))

    def _fail(self, outcome: Failed, event_id: bytes) -> None:
        failure = Failure(
            cause=outcome.cause, sentence=outcome.sentence, where=outcome.where, retryable=outcome.retryable
        )
        word = self._store.failed(self.claim, failure, event_id=event_id)
        self._log.error(
            "fit failed",
            cause=outcome.cause,
            sentence=outcome.sentence,
            where=outcome.where,
            retry=word.retry,
        )
        self._tell_end("retrying" if word.retry else "failed", sentence=outcome.sentence, where=outcome.where)

    def _release(self, cause: str, event_id: bytes) -> None:
        self._store.released(self.claim, FitReleased(cause=cause, step=self._saved_step), event_id=event_id)
        self._log.info("fit given back", cause=cause, step=self._saved_step)
        self._tell_end("released", sentence=cause)

    def _give_up(self, lost: LeaseLost | ChildStopped) -> None:
        self.child.kill()
        self.child.wait(5)
        self._unsaid.clear()
        self._log.warning("lease lost; the child was ended", cause=str(lost))
        self._tell_end("lost", sentence=str(lost))

    def _queue(self, say: Callable[[bytes], object]) -> None:
        self._unsaid.append(_Word(say, new_event_id()))

    def _say_all(self) -> None:
        while self._unsaid:
            self._unsaid[0].say(self._unsaid[0].event_id)
            self._unsaid.popleft()

    def _renew(self) -> None:
        """Renew the lease well before its end; not for a child that is stopped and can do nothing.

        Raises:
            LeaseLost: somebody else has the fit.
            ChildStopped: the child has been stopped for so long that the lease has run out.
        """
        if self._clock() < self._renew_at:
            return
        if not is_stopped(self.child.pid):
            self._store.renew(self.claim)
            self._renew_at, self._lost_at = self._turns_of_the_lease(self._clock())
        elif self._clock() >= self._lost_at:
            raise ChildStopped(self.name, self.child.pid)

    def _turns_of_the_lease(self, renewed_at: float) -> tuple[float, float]:
        """Return when the lease is renewed next, and when it has run out; seconds of the monotonic clock."""
        lease = self.claim.lease_seconds
        return renewed_at + min(lease / 3, SIGN_OF_LIFE_SECONDS), renewed_at + lease

    def _attempt_of(self, fence: int | None) -> int | None:
        """Return which attempt held the lease of that number, as the log has it."""
        if fence is None:
            return None
        known = self.claim.checkpoint
        if known is not None and known.fence == fence:
            return known.attempt
        attempts = self._store.reading.attempts(self.claim.fit_id)
        return next((row.attempt for row in attempts if row.fence == fence), None)

    def _seconds(self) -> float:
        return self._clock() - self._began_at

    def _write_metrics(self, outcome: Succeeded) -> None:
        """Write the fit's metrics beside the models; written before the event, the same bytes if repeated."""
        document = {
            "plan": self.claim.plan_id,
            "job": self.claim.job_id,
            "fit": self.claim.fit_id,
            "family": self.claim.family,
            "target": self.claim.target,
            "symbol": self.claim.symbol,
            "bundle": outcome.bundle,
            "bundle_sha256": outcome.bundle_sha256,
            "metrics": dict(outcome.metrics),
        }
        try:
            write_json(self.places.metrics, document)
        except OSError as error:  # the event holds them too; a full disk does not cost the fit
            self._log.warning("metrics not written", path=str(self.places.metrics), cause=str(error))

    def _tell_end(self, outcome: str, **told: Any) -> None:  # noqa: ANN401 (fields of FitEnded)
        fields: dict[str, Any] = {"sentence": "", "where": "", "metrics": {}, "bundle": None, **told}
        self._tell(
            FitEnded(
                fit=self.claim.fit_id,
                name=self.name,
                stage=self.claim.stage,
                attempt=self.claim.attempt,
                outcome=outcome,
                seconds=self._seconds(),
                log=self.places.log,
                **fields,
            )
        )


def write_json(path: Path, document: object) -> None:
    """Write a document whole or not at all: a file beside it, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, sort_keys=True, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
