"""A host is stuck when fits are ready, none has run for a while, and nobody wanted it so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from daemon_samples import FakeClock, accept, job

from daemon.identity import own_identity
from daemon.notices import Notice
from daemon.stuck import Stuck, is_wanted
from store import DatabaseUnavailable, open_store
from store.events import DaemonStarted, FitReleased

SECONDS = 900.0


class Stage:
    """A host with no memory left for anything, and the eye on it."""

    def __init__(self, url: str) -> None:
        self.clock, self.store, here = FakeClock(), open_store(url), own_identity()
        self.stuck = Stuck(SECONDS, host="here", clock=self.clock)
        self.store.daemon_started(
            DaemonStarted(
                worker=here.worker,
                host=here.host,
                version="1",
                boot_id=here.boot_id,
                cpu_slots=0,
                gpu_slots=0,
            )
        )

    def after(self, seconds: float) -> Notice | None:
        """What is told so much later, looked at on the way."""
        found = None
        for _ in range(20):
            self.clock.now += seconds / 20
            found = found or self.stuck.look(self.store.reading)
        return found

    def run_a_fit(self) -> None:
        """Let a fit begin and come back."""
        (claim,) = self.store.claim("w", stage="cpu")
        self.store.released(claim, FitReleased(cause="asked"))


@pytest.fixture
def stage(sqlite_url: str) -> Iterator[Stage]:
    """A host."""
    made = Stage(sqlite_url)
    yield made
    made.store.close()


def test_ready_fits_that_nobody_runs_are_told_with_the_reasons_of_status(stage: Stage) -> None:
    """After the time of the settings, once, in one line, with what they wait for."""
    assert stage.after(2 * SECONDS) is None
    accept(stage.store, job(["LightGBM", "XGBoost"]))
    assert stage.after(SECONDS) is None
    notice = stage.after(SECONDS / 5)
    assert notice is not None
    assert (notice.kind, notice.next) == ("host_stuck", "trainwright status")
    assert notice.sentence.startswith("host here is stuck: nothing has run for 15m ")
    assert (
        "2 CPU fits waiting, Resources(cpu): it needs 1 CPU place and 0 are all there is" in notice.sentence
    )
    assert stage.after(10 * SECONDS) is None


def test_a_fit_that_runs_begins_the_count_anew(stage: Stage) -> None:
    """However short it was between two looks; and the next time it lasts is told again."""
    accept(stage.store)
    assert stage.after(0.9 * SECONDS) is None
    stage.run_a_fit()
    assert stage.after(0.9 * SECONDS) is None
    first = stage.after(SECONDS)
    stage.run_a_fit()
    second = stage.after(1.2 * SECONDS)
    assert first is not None
    assert second is not None
    assert first.id != second.id


def test_what_was_paused_or_held_is_not_stuck(stage: Stage) -> None:
    """Somebody wanted it so, and status says who; once it is resumed the count begins."""
    plan = accept(stage.store)
    stage.store.pause(plan=plan, reason="for the night", actor="alice")
    assert stage.after(5 * SECONDS) is None
    stage.store.resume(plan=plan)
    assert stage.after(0.9 * SECONDS) is None
    assert stage.after(SECONDS) is not None


def test_a_log_that_does_not_answer_is_told(stage: Stage) -> None:
    """Nothing runs without it; once, with what it said."""
    error = DatabaseUnavailable(url="postgresql://u:secret@db/x", cause="connection refused")
    assert stage.stuck.unanswered(error) is None
    stage.clock.now += SECONDS + 1
    notice = stage.stuck.unanswered(error)
    assert notice is not None
    assert "connection refused" in notice.sentence
    assert "secret" not in notice.sentence
    assert stage.stuck.unanswered(error) is None


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        ((), True),
        (("PlanPaused", "Held"), True),
        (("PlanPaused", "WaitingForCpuStage"), True),
        (("Backoff", "Dependency"), True),
        (("PlanPaused", "Resources(gpu)"), False),
        (("WaitingForCpuStage",), False),
        (("DiskLow",), False),
        (("Priority",), False),
    ],
)
def test_what_waits_behind_a_pause_is_paused(codes: tuple[str, ...], *, wanted: bool) -> None:
    """Fits that wait for others are stuck exactly when those are."""
    assert is_wanted(codes) is wanted
