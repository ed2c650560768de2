"""One attempt at one fit: what the child reports becomes events, the lease is kept, the outcome ends it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from daemon.artefacts.kept_child import reason_of
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
from store.errors import LeaseLost
from store.events import (
    CheckpointSaved,
    FitEvent,
    FitFailed,
    FitProgressed,
    FitReleased,
    FitStarted,
    FitSucceeded,
)
from store.ids import new_event_id
from store.plan_store import PlanStore
from store.records import Claim, Failure
from store.words import Answer, Word

log = structlog.get_logger("runner")

SIGN_OF_LIFE_SECONDS = 1.0  # between two renewals at most: what a crash cost is then known to about a second


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
class Unsaid:
    """Something to be recorded, and what is done with the answer."""

    word: Word
    then: Callable[[Answer], None]


class Runner:
    """Follows one child from claim to end; `daemon.listening` hears it and tells the log for it."""

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
        self.unsaid: deque[Unsaid] = deque()  # what the log was not told yet, in its order
        self._stopping: str | None = None
        self._outcome: Outcome | None = None
        self._given_up = False
        self._log = log.bind(name=self.name, fence=claim.fence)

    def hear(self) -> None:
        """Take what the child said, and whether it has ended; its words are then in `unsaid`.

        Raises:
            DatabaseUnavailable: a word cannot be put without a question to the event log.
        """
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

    def told(self, answers: Sequence[Answer]) -> None:
        """Take what the log answered to the first words of `unsaid`; raises LeaseLost for a refused one."""
        for answer in answers:
            if isinstance(answer, LeaseLost):
                raise answer
            self.unsaid.popleft().then(answer)

    @property
    def is_over(self) -> bool:
        """Whether the attempt has ended and all of it is recorded."""
        return self._given_up or (self._outcome is not None and not self.unsaid)

    def wants_renewal(self) -> bool:
        """Whether the lease is to be renewed now: well before its end; not for a child that can do nothing.

        Raises:
            ChildStopped: the child has been stopped for so long that the lease has run out.
        """
        if self._outcome is not None or self._clock() < self._renew_at:
            return False
        if not is_stopped(self.child.pid):
            return True
        if self._clock() >= self._lost_at:
            raise ChildStopped(self.name, self.child.pid)
        return False

    def renewed(self, answer: datetime | LeaseLost) -> None:
        """Take what the log answered to a renewal; raises LeaseLost when somebody else has the fit."""
        if isinstance(answer, LeaseLost):
            raise answer
        self._renew_at, self._lost_at = self._turns_of_the_lease(self._clock())

    def give_up(self, lost: LeaseLost | ChildStopped) -> None:
        """End the child at once: the lease was lost, and late words are refused by the store."""
        self.child.kill()
        self.child.wait(5)
        self.unsaid.clear()
        self._given_up = True
        self._log.warning("lease lost; the child was ended", cause=str(lost))
        self._tell_end("lost", sentence=str(lost))

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

    def _note(self, report: Report) -> None:
        match report:
            case Started():
                self._note_start(report)
            case Progressed():
                self._note_progress(report)
            case Checkpointed(step=step, path=path, seconds=seconds):
                self._saved_step = step
                self._queue(CheckpointSaved(step=step, path=path, seconds=seconds))
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
        self._queue(word)
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
        self._queue(word)

    def _note_end(self, outcome: Outcome) -> None:
        match outcome:
            case Succeeded():
                self._write_metrics(outcome)
                self._note_success(outcome)
            case Failed() if self._stopping is not None:
                self._note_release(self._stopping)
            case Failed():
                self._note_failure(outcome)
            case Stopped(step=step):
                self._saved_step = step or self._saved_step
                self._note_release(self._stopping or reason_of(self.child) or "asked from outside")

    def _note_success(self, outcome: Succeeded) -> None:
        def told(_answer: Answer) -> None:
            shutil.rmtree(self.places.work, ignore_errors=True)
            with contextlib.suppress(OSError):  # other fits of the plan still work there
                self.places.work.parent.rmdir()
            self._log.info("fit succeeded", seconds=round(self._seconds(), 3), bundle=outcome.bundle)
            self._tell_end("succeeded", metrics=outcome.metrics, bundle=Path(outcome.bundle))

        word = FitSucceeded(
            bundle=outcome.bundle,
            sha256=outcome.bundle_sha256,
            metrics=outcome.metrics,
            seconds=self._seconds(),
        )
        self._queue(word, told)

    def _note_failure(self, outcome: Failed) -> None:
        cause, sentence, where = outcome.cause, outcome.sentence, outcome.where

        def told(answer: Answer) -> None:
            retry = isinstance(answer, FitFailed) and answer.retry
            self._log.error("fit failed", cause=cause, sentence=sentence, where=where, retry=retry)
            self._tell_end("retrying" if retry else "failed", sentence=sentence, where=where)

        self._queue(
            Failure(cause=cause, sentence=sentence, where=where, retryable=outcome.retryable),
            told,
        )

    def _note_release(self, cause: str) -> None:
        step = self._saved_step

        def told(_answer: Answer) -> None:
            self._log.info("fit given back", cause=cause, step=step)
            self._tell_end("released", sentence=cause)

        self._queue(FitReleased(cause=cause, step=step), told)

    def _queue(self, said: FitEvent | Failure, then: Callable[[Answer], None] = lambda _answer: None) -> None:
        """Leave a word to be told to the log with those of the other fits; `then` takes the answer."""
        self.unsaid.append(Unsaid(Word(self.claim, said, new_event_id()), then))

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
