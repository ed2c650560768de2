"""Every waiting fit has one reason, the first that holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from store_samples import cs_job, plan_of

from store import FitRow, PlanStore, WaitingContext, waiting_reason
from store.database import connect

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FREE = WaitingContext(now=NOW, daemons=1, slots_free=1)


@pytest.fixture
def gpu_fit(sqlite_url: str) -> FitRow:
    plan_store = PlanStore(connect(sqlite_url))
    plan_store.accept(plan_of(cs_job("y")), source="s", name="n")
    return plan_store.reading.fit("cs_y/LSTM")


@pytest.mark.parametrize(
    ("context", "code", "words"),
    [
        (replace(FREE, daemons=0, cpu_open=3), "NoWorker", "trainwright daemon"),
        (replace(FREE, cpu_open=3, ahead=2), "WaitingForCpuStage", "3 CPU fits of its plan"),
        (replace(FREE, ahead=2, slots_free=0), "Priority", "2 GPU fits come first"),
        (replace(FREE, slots_free=0), "Resources", "all GPU places"),
        (FREE, "Next", "next"),
    ],
)
def test_the_first_reason_that_holds_is_given(
    gpu_fit: FitRow, context: WaitingContext, code: str, words: str
) -> None:
    """Reasons go from what a person must do to what time will do."""
    reason = waiting_reason(gpu_fit, context)
    assert reason is not None
    assert reason.code == code
    assert words in reason.words


def test_a_backoff_says_until_when(gpu_fit: FitRow) -> None:
    """A fit that failed says how often and when it is tried again; afterwards it does not."""
    failed = replace(gpu_fit, failures=2, not_before_at=NOW + timedelta(seconds=8))
    reason = waiting_reason(failed, FREE)
    assert reason is not None
    assert reason.code == "Backoff"
    assert "failed 2 times" in reason.words
    assert "in 8 s" in reason.words
    later = waiting_reason(failed, replace(FREE, now=NOW + timedelta(seconds=8)))
    assert later is not None
    assert later.code == "Next"


def test_the_barrier_names_its_scope(gpu_fit: FitRow) -> None:
    """With the job barrier it is the job that is waited for."""
    reason = waiting_reason(replace(gpu_fit, stage_barrier="job"), replace(FREE, cpu_open=1))
    assert reason is not None
    assert "of its job" in reason.words


def test_a_fit_that_does_not_wait_has_no_reason(gpu_fit: FitRow) -> None:
    """Running and final fits have none."""
    assert waiting_reason(replace(gpu_fit, state="running"), FREE) is None
    assert waiting_reason(replace(gpu_fit, state="succeeded"), FREE) is None
