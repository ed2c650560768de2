"""The training told while it happens."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from cli_samples import METRICS, sample_plan

from daemon.cli import progress
from daemon.cli.progress import TrainingNarrator
from daemon.news import FitBegan, FitEnded, FitMoved, FitRescued, PlanFinished
from store import PlanStore
from store.records import FitRow

SLOTS = {"cpu": 2, "gpu": 1}


@pytest.fixture
def fits(store: PlanStore) -> tuple[FitRow, ...]:
    """The open fits of the sample plan."""
    store.accept(sample_plan(), source="test", name="t")
    return tuple(fit for fit in store.reading.fits() if fit.state == "ready")


def began(fit: FitRow, **fields: object) -> FitBegan:
    """A fit began."""
    word = FitBegan(
        fit=fit.id, name=fit.name, stage=fit.stage, attempt=1, device_used="cpu",
        device_reason="no CUDA device", resumed_from_step=None, rows_train=9,
    )  # fmt: skip
    return dataclasses.replace(word, **fields)  # type: ignore[arg-type]


def ended(fit: FitRow, outcome: str = "succeeded", sentence: str = "") -> FitEnded:
    """A fit ended."""
    return FitEnded(
        fit=fit.id, name=fit.name, stage=fit.stage, attempt=1, outcome=outcome, sentence=sentence, where="",
        seconds=2.0, metrics=METRICS if outcome == "succeeded" else {}, bundle=None, log=Path("log"),
    )  # fmt: skip


def test_stages_are_headed_and_fits_counted(
    fits: tuple[FitRow, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """One heading for each stage; a retried fit does not count as done."""
    cpu = [fit for fit in fits if fit.stage == "cpu"]
    narrator = TrainingNarrator(fits, slots=SLOTS)
    for fit in cpu:
        narrator(began(fit))
    narrator(ended(cpu[0], "retrying", "too big"))
    narrator(ended(cpu[0]))
    narrator(ended(cpu[1], "failed", "one class"))
    err = capsys.readouterr().err.splitlines()
    assert err[0] == " CPU stage: 3 fits"
    assert [line.split()[0] for line in err[1:]] == ["0/3", "1/3", "2/3"]
    assert "retrying: too big" in err[1]
    assert "rank_ic +0.200 (naive +0.100)" in err[2]
    assert "failed: one class" in err[3]


def test_falling_back_to_the_cpu_is_said_once(
    fits: tuple[FitRow, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """With its reason, for the GPU stage only."""
    gpu = next(fit for fit in fits if fit.stage == "gpu")
    narrator = TrainingNarrator(fits, slots=SLOTS)
    narrator(began(gpu))
    narrator(began(gpu, attempt=2, resumed_from_step=40))
    err = capsys.readouterr().err
    assert err.count("GPU families run on the CPU here: no CUDA device") == 1
    assert f"{gpu.name}: resumed from step 40 (attempt 2)" in err


def test_a_rescue_says_what_was_lost(fits: tuple[FitRow, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The cause and the time."""
    TrainingNarrator(fits, slots=SLOTS)(
        FitRescued(fit=fits[0].id, name=fits[0].name, cause="daemon gone", lost_seconds=75.0, final=False)
    )
    assert f"{fits[0].name}: taken back (daemon gone), 1m 15s of work lost" in capsys.readouterr().err


def test_the_moving_line_estimates_the_rest(
    fits: tuple[FitRow, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is estimated before a fit has ended; then median times open fits by slots."""
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    cpu = [fit for fit in fits if fit.stage == "cpu"]
    narrator = TrainingNarrator(fits, slots=SLOTS)
    narrator(began(cpu[0]))
    narrator(FitMoved(fit=cpu[0].id, name=cpu[0].name, step=5, steps_total=10, valid_loss=None))
    assert "0/3  ~?  " in capsys.readouterr().err
    narrator(ended(cpu[0]))
    assert "1/3  ~2.0s left" in capsys.readouterr().err
    narrator(PlanFinished(plan_id="p", succeeded=1, failed=0, unavailable=0, cancelled=0, output=Path("o")))
    assert "\r" in capsys.readouterr().err


def test_the_rest_of_the_plan_is_told_where_it_is_known(
    fits: tuple[FitRow, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Off a terminal a line every ten seconds says how far it is, with what the past of the plan tells."""
    now = [0.0]
    asked = []

    def left() -> str:
        asked.append(now[0])
        return f"~{100 - now[0]:.0f}s"

    narrator = TrainingNarrator(fits, slots=SLOTS, left=left, clock=lambda: now[0])
    cpu = next(fit for fit in fits if fit.stage == "cpu")
    narrator(began(cpu))
    for second in range(25):
        now[0] = float(second)
        narrator(FitMoved(fit=cpu.id, name=cpu.name, step=second, steps_total=25, valid_loss=None))
    lines = [line for line in capsys.readouterr().err.splitlines() if "left" in line]
    assert lines == [
        f"     0/3  ~90s left  {cpu.name} 10/25",
        f"     0/3  ~80s left  {cpu.name} 20/25",
    ]
    assert asked == [10.0, 20.0]


def test_a_fit_that_fails_before_it_began_stands_under_its_stage(
    fits: tuple[FitRow, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """The heading comes before whatever is first told of a stage."""
    TrainingNarrator(fits, slots=SLOTS)(ended(fits[0], "failed", "no such parameter"))
    heading, line = capsys.readouterr().err.splitlines()
    assert heading.startswith(" CPU stage: ")
    assert "failed: no such parameter" in line
