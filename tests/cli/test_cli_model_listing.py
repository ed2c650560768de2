"""``models leaderboard``: by target the best fit first, across plans."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
from cli_samples import METRICS, TRAINED, Call

from daemon.cli import model_listing
from store import PlanStore
from store.records import FitRow


@pytest.fixture
def several(filled: PlanStore, monkeypatch: pytest.MonkeyPatch) -> list[FitRow]:
    """Five models: three of one target in two plans, one of a symbol, one of another target."""
    trained = filled.reading.fit(TRAINED)

    def fit(**changes: Any) -> FitRow:
        metrics = {**METRICS, **changes.pop("metrics", {})}
        return dataclasses.replace(trained, metrics=metrics, **changes)

    found = [
        fit(),
        fit(family="XGBoost", metrics={"skill": 0.3, "score": 0.3, "beats_baseline": False}),
        fit(plan_id="p_other", metrics={"skill": 0.1, "score": 0.1, "beats_no_skill": False}, seconds=None),
        fit(symbol="AAPL", metrics={"metric": "rank_corr", "skill": 0.9, "score": 0.9}),
        fit(target="y_up_1d", metrics={"metric": "auc", "skill": 0.1, "score": 0.6}),
    ]
    for one in found[2:]:
        if not one.metrics["beats_no_skill"]:
            one.metrics.update(beats_baseline=False)  # type: ignore[attr-defined]
    monkeypatch.setattr(model_listing, "_trained", lambda plan_id, options: tuple(found))
    return found


def test_each_target_has_its_board_with_the_best_first(several: list[FitRow], call: Call) -> None:
    """Score with error, naive score, whether that is beaten, device, seconds; a symbol stands apart."""
    done = call("models", "leaderboard")
    assert [line for line in done.lines if " by " in line] == [
        "y_range_5d: 3 by rank_ic",
        "y_range_5d of AAPL: 1 by rank_corr",
        "y_up_1d: 1 by auc",
    ]
    first, second, third = done.lines[2:5]
    assert first.split()[:2] == ["1", "cs_y_range_5d/XGBoost"]
    assert "+0.300 ± 0.020" in first
    assert "not surely" in first
    assert "  yes  " in second
    assert second.endswith("12s")
    assert " p_other " in third
    assert "no skill" in third


def test_a_board_is_cut_and_says_so(several: list[FitRow], call: Call) -> None:
    """Only the target asked for, only its best, and how many there are."""
    done = call("models", "leaderboard", "--target", "y_range_5d", "--top", "2")
    assert done.lines[0] == "y_range_5d: the first 2 of 3 by rank_ic"
    assert "y_up_1d" not in done.out


def test_the_document_has_all_numbers(several: list[FitRow], call: Call) -> None:
    """Ranks, plans, metrics and words, by target and symbol."""
    boards = call("models", "leaderboard", "--json").document["leaderboards"]
    assert [(board["target"], board["symbol"], board["models"]) for board in boards] == [
        ("y_range_5d", None, 3),
        ("y_range_5d", "AAPL", 1),
        ("y_up_1d", None, 1),
    ]
    best = boards[0]["best"]
    assert [(entry["rank"], entry["metrics"]["score"]) for entry in best] == [(1, 0.3), (2, 0.2), (3, 0.1)]
    assert best[1]["seconds"] == 12.5


def test_without_a_model_the_next_command_is_named(call: Call, store: PlanStore) -> None:
    """No model is no error; an unknown plan is one."""
    assert call("models", "leaderboard").out.startswith("no model yet")
    assert call("models", "leaderboard", "--plan", "p_none").code == 4


@pytest.mark.parametrize("module", ["model_listing", "model_showing"])
def test_looking_at_models_loads_neither_numbers_nor_libraries(module: str) -> None:
    """What reads the log and the cards needs no numpy, no pyarrow and no training library."""
    heavy = ("numpy", "pandas", "pyarrow", "lightgbm", "xgboost", "torch", "sqlalchemy", "pydantic")
    script = (
        f"import sys, daemon.cli.{module}, store.reading\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
