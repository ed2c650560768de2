"""A runner turns what a child says into events, keeps the lease, and is refused once it is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from daemon_samples import (
    STARTED,
    FakeChild,
    FakeClock,
    accept,
    all_events,
    settings_in,
    succeeded,
)

from daemon.about_fits import name_the_fit
from daemon.listening import listen_to
from daemon.news import FitBegan, FitEnded, FitMoved, News
from daemon.runner import Runner
from daemon.slots import Slot
from daemon.workplace import Workplace
from executors.contract import Checkpointed, Failed, Progressed, Stopped
from store import DatabaseUnavailable, PlanStore, leases, open_store


class Stage:
    """A store with one claimed fit, a fake child, and the runner between them."""

    def __init__(self, directory: Path, url: str) -> None:
        self.clock, self.child = FakeClock(), FakeChild()
        self.settings = settings_in(directory, progress_seconds=2.0)
        self.store = open_store(url)
        self.plan_id = accept(self.store)
        self.news: list[News] = []
        self.runner = self.claimed(self.child)

    def claimed(self, child: FakeChild) -> Runner:
        """Claim the fit for a child."""
        (claim,) = self.store.claim("somebody", stage="cpu", lease_seconds=30.0)
        places = Workplace.of(self.settings).fit_places(
            output="o",
            plan_id=claim.plan_id,
            fit_id=claim.fit_id,
            job_id=claim.job_id,
            family=claim.family,
            attempt=claim.attempt,
        )
        return Runner(
            claim,
            child,
            slot=Slot(places=(0,)),
            store=self.store,
            places=places,
            settings=self.settings,
            tell=self.news.append,
            clock=self.clock,
        )

    def listens(self, runner: Runner | None = None) -> bool:
        """Let the log be told what the child said; whether the attempt is over."""
        ended: list[Runner] = []
        listen_to([runner or self.runner], self.store, over=ended.append)
        return bool(ended)

    def expire(self) -> None:
        """Let the lease end as if its holder were dead."""
        assert self.store.rescue(is_dead=lambda _worker: True)

    def kinds(self) -> list[str]:
        """Kinds of the fit's events in order."""
        return [event.kind for event in all_events(self.store) if event.fit]

    def data(self, kind: str) -> dict[str, Any]:
        """The payload of the last event of a kind."""
        return dict(all_events(self.store, kind)[-1].data)


def noted_renewals(monkeypatch: pytest.MonkeyPatch, clock: FakeClock | None = None) -> list[float]:
    """Note from now on when leases are renewed."""
    renewed: list[float] = []
    real = PlanStore.say_each

    def noted(store: PlanStore, said: Any, *, renewing: Any) -> Any:
        renewed.extend(clock.now if clock else 0.0 for _ in renewing)
        return real(store, said, renewing=renewing)

    monkeypatch.setattr(PlanStore, "say_each", noted)
    return renewed


@pytest.fixture
def stage(tmp_path: Path, sqlite_url: str) -> Iterator[Stage]:
    """A claimed fit."""
    made = Stage(tmp_path, sqlite_url)
    yield made
    made.store.close()


def test_a_fit_is_told_from_start_to_success(stage: Stage, tmp_path: Path) -> None:
    """Start, progress, checkpoint and success are events; metrics are a file; the work is cleared away."""
    stage.runner.places.checkpoints.mkdir(parents=True)
    stage.child.says(
        STARTED, Progressed(step=1, steps_total=9), Checkpointed(step=5, path="somewhere", seconds=0.1)
    )
    assert not stage.listens()
    stage.clock.now += 3
    stage.child.ends(succeeded(tmp_path / "bundle"))
    assert stage.listens()
    assert stage.kinds() == [
        *("FitClaimed", "FitStarted", "FitProgressed", "CheckpointSaved", "FitSucceeded"),
    ]
    assert stage.data("FitSucceeded")["seconds"] == 3
    assert json.loads(stage.runner.places.metrics.read_text())["metrics"] == {"score": 0.1}
    assert not stage.runner.places.work.parent.exists()
    assert stage.child.was_closed
    assert [type(word) for word in stage.news] == [FitBegan, FitMoved, FitEnded]
    assert isinstance(stage.news[-1], FitEnded)
    assert (stage.news[-1].outcome, stage.news[-1].bundle) == ("succeeded", tmp_path / "bundle")


def test_a_full_disk_does_not_cost_the_fit(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics that cannot be written to their file are in the event all the same."""

    def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("daemon.runner.write_json", full)
    stage.child.ends(succeeded(tmp_path / "bundle"))
    assert stage.listens()
    assert stage.data("FitSucceeded")["metrics"] == {"score": 0.1}


def test_progress_is_thinned(stage: Stage) -> None:
    """Of many progress reports at most one per interval is recorded; all are told to the screen."""
    for step in range(1, 11):
        stage.child.says(Progressed(step=step, steps_total=10))
        stage.listens()
        stage.clock.now += 0.5
    recorded = [event.data["step"] for event in all_events(stage.store, "FitProgressed")]
    assert recorded == [1, 5, 9]
    assert len(stage.news) == 10


def test_the_lease_is_renewed_well_before_its_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease of 30 s is renewed every second: after a crash the loss is known to about that."""
    renewed = noted_renewals(monkeypatch, stage.clock)
    for _ in range(8):
        stage.listens()
        stage.clock.now += 0.5
    assert renewed == [1001.0, 1002.0, 1003.0]


def test_a_failure_is_recorded_with_its_cause(stage: Stage) -> None:
    """A failure that may be tried again is; one that may not is final."""
    stage.child.ends(Failed(cause="library", sentence="no", where="x.py:3", retryable=True))
    assert stage.listens()
    assert stage.data("FitFailed")["retry"]
    assert isinstance(stage.news[-1], FitEnded)
    assert stage.news[-1].outcome == "retrying"


def test_a_final_failure_is_final(stage: Stage) -> None:
    """Bad input is not tried again."""
    stage.child.ends(Failed(cause="bad_input", sentence="no rows", where="x.py:3", retryable=False))
    assert stage.listens()
    assert stage.store.reading.fits()[0].state == "failed"
    assert isinstance(stage.news[-1], FitEnded)
    assert (stage.news[-1].outcome, stage.news[-1].sentence) == ("failed", "no rows")


def test_a_stopped_fit_is_given_back(stage: Stage) -> None:
    """A child asked to stop gives its fit back with the step it saved; it is ready again at once."""
    stage.runner.stop("maintenance")
    stage.runner.stop("again")
    assert stage.child.was_asked_to_stop
    stage.child.ends(Stopped(step=7))
    assert stage.listens()
    assert stage.data("FitReleased") == {"cause": "maintenance", "step": 7}
    assert stage.store.reading.fits()[0].state == "ready"


def test_a_child_that_does_not_stop_is_ended_and_its_fit_given_back(stage: Stage) -> None:
    """The end by force is no failure of the fit: it goes back with its last checkpoint."""
    stage.child.says(Checkpointed(step=5, path="somewhere", seconds=0.1))
    stage.listens()
    stage.runner.stop("shutdown")
    stage.runner.end()
    assert stage.listens()
    assert stage.data("FitReleased") == {"cause": "shutdown", "step": 5}
    assert stage.store.reading.fits()[0].failures == 0


def test_a_late_word_is_refused(stage: Stage, tmp_path: Path) -> None:
    """After the lease was lost and another completed the fit, the first one's success is refused."""
    stage.child.says(STARTED)
    stage.listens()
    stage.expire()
    successor = FakeChild()
    second = stage.claimed(successor)
    successor.ends(succeeded(tmp_path / "bundle"))
    assert stage.listens(second)
    stage.child.ends(succeeded(tmp_path / "bundle"))
    assert stage.listens()
    assert stage.kinds().count("FitSucceeded") == 1
    assert isinstance(stage.news[-1], FitEnded)
    assert stage.news[-1].outcome == "lost"


def test_without_the_fence_the_late_word_would_be_taken(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant without a fence records two successes: the test above can fail."""
    monkeypatch.setattr(leases, "require_held", lambda turn, held: turn.fit(held.fit_id))
    stage.expire()
    successor = FakeChild()
    second = stage.claimed(successor)
    for child, runner in ((successor, second), (stage.child, stage.runner)):
        child.ends(succeeded(tmp_path / "bundle"))
        assert stage.listens(runner)
    assert stage.kinds().count("FitSucceeded") == 2


def test_losing_the_lease_ends_the_child(stage: Stage) -> None:
    """A runner that finds its lease gone kills its child at once."""
    stage.expire()
    stage.clock.now += 11
    assert stage.listens()
    assert stage.child.was_killed
    assert stage.kinds() == ["FitClaimed", "LeaseExpired"]


def test_words_wait_for_the_database(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the event log does not answer nothing is lost; afterwards every word is recorded once."""
    real = PlanStore.say_each
    answers = iter([False, False, True])

    def sometimes(store: PlanStore, *words: Any, **more: Any) -> Any:
        seq = real(store, *words, **more)
        if next(answers):
            return seq
        raise DatabaseUnavailable(url="db", cause="the answer was lost")

    monkeypatch.setattr(PlanStore, "say_each", sometimes)
    stage.child.ends(succeeded(tmp_path / "bundle"))
    assert [stage.listens() for _ in range(3)] == [False, False, True]
    assert stage.kinds() == ["FitClaimed", "FitSucceeded"]


def test_a_stopped_process_is_not_kept_alive(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a child stopped by a signal the lease is not renewed; when it has run out the child is ended."""
    process = subprocess.Popen(["sleep", "600"])
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)  # until it has stopped
    monkeypatch.setattr(FakeChild, "pid", process.pid)
    renewed = noted_renewals(monkeypatch)
    stage.clock.now += 29
    assert not stage.listens()
    stage.clock.now += 2
    assert stage.listens()
    assert stage.child.was_killed
    assert not renewed
    process.kill()
    process.wait()


def test_the_attempt_a_fit_continues_is_named(stage: Stage) -> None:
    """A start from an older lease's checkpoint names the attempt that held that lease."""
    stage.child.says(STARTED)
    stage.listens()
    stage.expire()
    child = FakeChild()
    second = stage.claimed(child)
    fields = {name: getattr(STARTED, name) for name in STARTED.__slots__}
    fence = stage.runner.claim.fence
    child.says(type(STARTED)(**{**fields, "resumed_from_step": 9, "resumed_from_fence": fence}))
    stage.listens(second)
    word = stage.data("FitStarted")
    assert (word["resumed_from_step"], word["resumed_from_attempt"]) == (9, 1)


def test_every_line_about_a_fit_names_plan_job_fit_and_attempt(stage: Stage) -> None:
    """Also a line that is written elsewhere while the child is listened to: that it says nothing."""
    stage.child.says(STARTED)
    with structlog.testing.capture_logs([name_the_fit]) as lines:
        stage.listens()
        stage.clock.now += stage.settings.fit_silent_seconds + 10
        stage.listens()
        structlog.get_logger().info("of something else")
    claim = stage.runner.claim
    names = {"plan": claim.plan_id, "job": claim.job_id, "fit": claim.fit_id, "attempt": 1}
    about = {line["event"]: {key: line.get(key) for key in names} for line in lines}
    assert about["fit started"] == about["fit says nothing"] == names
    assert set(about["of something else"].values()) == {None}
