"""The planning told while it happens, and its decisions in tables."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.cli import narration
from daemon.cli.narration import PlanningNarrator, ranking_table
from planner.request import STEPS, Progress
from store.events import PlanningStarted


def row(target: str, symbol: str | None = None, **fields: Any) -> dict[str, Any]:
    """A row of the ranking."""
    return {
        "target": target, "view": "SYMBOL_SPECIFIC" if symbol else "CROSS_SECTIONAL", "symbol": symbol,
        "metric_name": "rank_ic", "score": 0.1, "standard_error": 0.02, "q_value": 0.01, "kept": True,
        "rank": 1, "skill": 0.1, "reason": "kept: rank_ic 0.1", **fields,
    }  # fmt: skip


def test_each_step_is_one_line_and_events_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """However often a step reports; the lines go to stderr."""
    narrator = PlanningNarrator()
    event = PlanningStarted(data_dir="data")
    narrator(event)
    for done in range(3):
        narrator(Progress(step=STEPS[0], done=done, total=3))
    narrator(Progress(step=STEPS[1], done=1, total=1))
    narrator.finish()
    narrator.finish()
    printed = capsys.readouterr()
    assert narrator.events == [event]
    assert printed.out == ""
    assert [line.split("  ")[0].strip() for line in printed.err.splitlines()] == [
        f"1/6 {STEPS[0]}",
        f"2/6 {STEPS[1]}",
    ]


def test_on_a_terminal_the_line_moves(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step is redrawn in place and ends with its time."""
    monkeypatch.setattr(narration.sys.stderr, "isatty", lambda: True)
    narrator = PlanningNarrator()
    narrator(Progress(step=STEPS[2], done=1, total=4, words="y_1d"))
    narrator.finish()
    err = capsys.readouterr().err
    assert err.startswith("\r 3/6 ranking targets")
    assert "y_1d" in err
    assert err.count("\n") == 1


def test_the_time_left_is_told_where_it_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An estimate is marked as one; where nothing was measured yet, nothing is promised."""
    monkeypatch.setattr(narration.sys.stderr, "isatty", lambda: True)
    narrator = PlanningNarrator()
    narrator(Progress(step=STEPS[2], done=1, total=4, words="y_1d"))
    narrator(Progress(step=STEPS[2], done=2, total=4, words="y_2d", seconds_left=83.0))
    first, second = capsys.readouterr().err.split("\r")[1:]
    assert "left" not in first
    assert "~1m 23s left" in second


def test_the_verdict_is_that_of_all_symbols_together() -> None:
    """A target dropped for all and kept for one symbol alone says both, and the reason fits the verdict."""
    rows = [
        row("noise", kept=False, rank=2, reason="dropped: q 0.75 above 0.05"),
        row("noise", "A", rank=2),
        row("noise", "B", rank=2, kept=False),
        row("good", q_value=None, score=None),
    ]
    lines = ranking_table(rows).splitlines()
    assert lines[0].split() == ["target", "metric", "score", "q", "pooled", "alone", "reason"]
    assert lines[1].split()[:5] == ["good", "rank_ic", "-", "-", "keep"]
    assert lines[2].endswith("drop    1/2    q 0.75 above 0.05")


def test_many_targets_are_cut_with_their_number() -> None:
    """The file with all of them is named."""
    rows = [row(f"y_{number}", rank=number) for number in range(1, narration.LINES_MAX + 3)]
    lines = ranking_table(rows).splitlines()
    assert len(lines) == narration.LINES_MAX + 2
    assert lines[-1] == "… and 2 more: METRICS/target_ranking.parquet"
