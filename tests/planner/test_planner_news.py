"""What the planner tells of its selections."""

from __future__ import annotations

from typing import Any

from planner.news import selection_news
from planner.tables import SelectionRow
from store.planning_events import FeaturesSelected


def test_a_selection_is_told_with_its_reasons_and_how_steady_it_is() -> None:
    """Every chosen feature has its share of folds and its weight in the event, those left out a reason."""
    told: list[Any] = []
    selection_news(
        [_row("vol", 1, 1.0, 0.7), _row("gap", 2, 0.75, 0.3), _row("dull", None, 0.0, 0.0)], told.append
    )
    (event,) = told
    assert isinstance(event, FeaturesSelected)
    assert event.features == ("vol", "gap")
    assert event.left_out == 1
    assert event.because == {"vol": "why vol", "gap": "why gap", "dull": "why dull"}
    assert event.steadiness == {"vol": 1.0, "gap": 0.75}
    assert event.weights == {"vol": 0.7, "gap": 0.3}
    assert (event.folds, event.jaccard, event.tau) == (4, 0.5, 0.25)


def _row(feature: str, position: int | None, frequency: float, importance: float) -> SelectionRow:
    return SelectionRow(
        target="y", view="CROSS_SECTIONAL", symbol=None, feature=feature, selected=position is not None,
        position=position, reason=f"why {feature}", frequency=frequency, importance=importance,
        correlation_z=None, ridge_importance=None, boosting_importance=None, permutation_importance=None,
        information=None, folds=4, fold_features=2, jaccard=0.5, tau=0.25, leakage_verdict="SAFE",
    )  # fmt: skip
