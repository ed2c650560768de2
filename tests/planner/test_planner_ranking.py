"""Judging: false discoveries over all rows, the interval, the last fold, the order, the sentences."""

from __future__ import annotations

from typing import Any

import pytest
from planner_samples import cell, fold_view, target_column

from panel.aligned import Column
from planner.config import RankingConfig
from planner.ranking import Ranking, drop_reasons, rank_targets, somers_d
from planner.skill import Measured
from planner.tables import RankedRow

CONFIG = RankingConfig()


def _rank(*cells: Any, columns: list[Column] | None = None, **options: Any) -> Ranking:
    by_target: dict[str, list[Any]] = {}
    for one in cells:
        by_target.setdefault(one.target, []).append(one)
    measured = [Measured(target=name, cells=tuple(group)) for name, group in by_target.items()]
    known = columns if columns is not None else [target_column(name) for name in by_target]
    return rank_targets(measured, known, CONFIG, **{"top": 10, **options})


def _only(ranking: Ranking) -> RankedRow:
    assert len(ranking.rows) == 1
    return ranking.rows[0]


def test_a_clear_row_is_kept_with_its_numbers() -> None:
    """The sentence has metric, score, interval, z, q and the last fold."""
    row = _only(_rank(cell()))
    assert row.kept
    assert row.selected
    assert row.rank == 1
    assert row.reason == "kept: rank_ic 0.1 (95 % 0.08 to 0.12), z 8.00, q 1e-10 within 0.05, last fold 0.1"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"p_value": 0.2, "z": 0.84}, "q 0.2 above 0.05: not told apart from luck by 500 shifts"),
        ({"low": -0.001}, "the interval reaches down to no skill (0)"),
        ({"p_value": None, "z": None, "shifts": 12}, "only 12 shifts to test it (40 needed)"),
        ({"reason": "too short", "score": None}, "dropped: too short"),
    ],
)
def test_a_row_that_fails_a_test_is_dropped_with_the_number(changes: dict[str, Any], words: str) -> None:
    """Each reason names what was missed."""
    ranking = _rank(cell(**changes))
    assert not _only(ranking).kept
    assert words in _only(ranking).reason
    assert ranking.selected == ()


@pytest.mark.parametrize(("last", "kept"), [(0.026, True), (0.024, False), (-0.1, False)])
def test_the_skill_must_hold_in_the_last_fold(last: float, kept: bool) -> None:
    """A quarter of the overall skill must be left at the end, else it is history."""
    folds = (fold_view((0.3, 0, 0), score=0.15), fold_view((0.3, 0, 0), score=last))
    row = _only(_rank(cell(folds=folds)))
    assert row.kept is kept
    assert ("gone in the last fold" in row.reason) is not kept


def test_many_tests_raise_the_bar_for_each() -> None:
    """A p-value of .03 is kept alone and dropped among twenty rows of luck."""
    lone = cell(p_value=0.03)
    crowd = [cell(target=f"n{number:02d}", p_value=0.5 + number / 100) for number in range(19)]
    assert _only(_rank(lone)).kept
    assert "y" not in _rank(lone, *crowd).selected


def test_all_views_and_targets_are_one_family_of_tests() -> None:
    """Symbols count as tests as well."""
    symbols = [cell(view="SYMBOL_SPECIFIC", symbol=f"S{number}", p_value=0.9) for number in range(9)]
    row = next(row for row in _rank(cell(p_value=0.01), *symbols).rows if row.symbol is None)
    assert row.q_value == pytest.approx(0.1)


def test_targets_are_ranked_by_the_best_low_end_on_one_scale() -> None:
    """An AUC of .60 at the low end is worth a correlation of .20."""
    ranking = _rank(
        cell(target="a", low=0.15),
        cell(target="b", metric="auc", score=0.62, low=0.60, folds=(fold_view((0, 0, 0), score=0.62),)),
        cell(target="c", low=0.18),
    )
    assert ranking.selected == ("b", "c", "a")
    assert {row.target: row.rank for row in ranking.rows} == {"b": 1, "c": 2, "a": 3}


def test_a_target_is_kept_with_any_of_its_rows() -> None:
    """A symbol with skill of its own keeps the target when all symbols together show none."""
    ranking = _rank(
        cell(p_value=0.6), cell(view="SYMBOL_SPECIFIC", symbol="AAA", low=0.05), cell(target="n", p_value=0.9)
    )
    assert ranking.selected == ("y",)
    assert [row.kept for row in ranking.rows if row.target == "y"] == [False, True]


def test_only_the_best_are_selected_and_the_rest_say_their_rank() -> None:
    """Top one of two: the second is kept, ranked, not selected, and the reason says why."""
    ranking = _rank(cell(target="a", low=0.05), cell(target="b", low=0.07), top=1)
    assert ranking.selected == ("b",)
    reasons = drop_reasons(ranking.rows)
    assert list(reasons) == ["a"]
    assert reasons["a"][0] == "rank 2 lies beyond the number of targets asked for"


def test_named_targets_are_all_selected_kept_ones_first() -> None:
    """As given means every one of them, whatever the verdict."""
    ranking = _rank(cell(target="a", p_value=0.9), cell(target="z"), as_given=True, top=1)
    assert ranking.selected == ("z", "a")
    assert drop_reasons(ranking.rows) == {}


def test_columns_left_out_by_the_panel_are_listed_with_their_reason() -> None:
    """A target that could not even be measured is in the table."""
    left_out = target_column("y_short_5d", role="left_out", reason="only 12 values, at least 100 are needed")
    ranking = _rank(cell(), columns=[target_column(), left_out])
    row = ranking.rows[-1]
    assert row.target == "y_short_5d"
    assert row.reason == "left out: only 12 values, at least 100 are needed"
    assert drop_reasons(ranking.rows)["y_short_5d"]


def test_the_order_of_targets_changes_nothing() -> None:
    """The same cells in another order give the same rows in the same order."""
    cells = [cell(target=name, low=low) for name, low in (("a", 0.05), ("b", 0.05), ("c", 0.07))]
    assert _rank(*cells) == _rank(*reversed(cells))
    assert _rank(*cells).selected == ("c", "a", "b")


def test_scores_of_all_metrics_share_one_scale() -> None:
    """Correlations stay, AUC counts double from one half."""
    assert somers_d(0.2, "rank_ic") == 0.2
    assert somers_d(0.6, "auc") == pytest.approx(0.2)
    assert somers_d(0.4, "auc_ovr") == pytest.approx(-0.2)
