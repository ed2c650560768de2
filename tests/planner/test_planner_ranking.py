"""Judging: false discoveries, the interval, what is left at the end, whose law, the order, the sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from planner_samples import cell, fold_view, recent, target_column

from panel.aligned import Column
from planner.config import RankingConfig
from planner.ranking import Ranking, drop_reasons, rank_targets, somers_d
from planner.skill import Measured, Skill
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
    """The sentence has metric, score, interval, law, z, q and the last fold."""
    row = _only(_rank(cell()))
    assert row.kept
    assert row.selected
    assert row.rank == 1
    assert row.reason == (
        "kept: rank_ic 0.1 (95 % 0.08 to 0.12); alpha, beta: z +8.0, q 1e-10 within 0.05, last fold 0.1"
    )
    assert (row.score_ci_low, row.score_ci_high, row.skill, row.tests) == (0.08, 0.12, 0.1, 500)
    assert (row.found_by, row.leading, row.sign, row.lag_bars) == ("rank", ("alpha", "beta"), 1, None)
    assert (row.best_model, row.linear_score, row.boosted_score, row.folds) == ("linear", 0.09, 0.08, 3)
    assert (row.recent_scores, row.last_fold_score) == ((0.1, 0.1, 0.1, 0.1), 0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"p_value": 0.2, "z": -0.84},
            "; alpha, beta: z -0.8, q 0.2 above 0.05: the best of 500 screens is luck's size",
        ),
        (
            {"low": 0.0},
            "; alpha, beta: z +8.0, q 1e-10, but models reach no skill (0) out of sample",
        ),
        (
            {"metric": "auc", "score": 0.52, "low": 0.499, "high": 0.54},
            "auc 0.52 (95 % 0.499 to 0.54); alpha, beta: z +8.0, q 1e-10, but models reach no skill (0.5)",
        ),
        ({"p_value": None, "z": None, "found_by": None}, "but no feature could be screened"),
        ({"reason": "too short", "score": None, "low": None}, "dropped: too short"),
        ({"score": None, "low": None}, "dropped: not measured"),
    ],
)
def test_a_row_that_fails_a_test_is_dropped_with_the_number(changes: dict[str, Any], words: str) -> None:
    """Each reason names what was missed."""
    ranking = _rank(cell(**changes))
    assert not _only(ranking).kept
    assert words in _only(ranking).reason
    assert ranking.selected == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"found_by": "rank", "leading": ("a", "b", "c", "d")}, "; a, b, c: z +8.0, q"),
        ({"found_by": "folded", "leading": ("a",)}, "; size of a: z +8.0, q"),
        ({"found_by": "product", "leading": ("a", "b")}, "; product of a x b: z +8.0, q"),
        ({"found_by": "product", "leading": ("a",)}, "; product of a: z +8.0, q"),
        ({"found_by": "lag", "leading": ("a", "b"), "bars": 5}, "; past of a, b (5 bars): z +8.0, q"),
    ],
)
def test_the_law_is_said_in_words(changes: dict[str, Any], words: str) -> None:
    """Which features, in which relation, how old, how clear."""
    assert words in _only(_rank(cell(**changes))).reason


@pytest.mark.parametrize(("last", "kept"), [(0.001, True), (0.0, False), (-0.1, False)])
def test_the_skill_must_not_be_gone_in_the_last_fold(last: float, kept: bool) -> None:
    """Some skill must be left in the last fold, else it is history."""
    folds = (fold_view((0.3, 0, 0), score=0.15), fold_view((0.3, 0, 0), score=last))
    row = _only(_rank(cell(folds=folds)))
    assert row.kept is kept
    assert (f"but the last fold has no skill left ({last:.4g})" in row.reason) is not kept


@pytest.mark.parametrize(
    ("window", "score", "error", "kept"),
    [
        # Before a window of 1/8 with 0.042 there was 0.1083, and two fifths of that are 0.0433.
        (0, 0.044, 0.0230, True),
        (0, 0.042, 0.0230, False),
        (0, 0.042, 0.0200, True),  # weaker, but skill beyond doubt: 2.1 errors above none
        (0, 0.042, 0.0285, True),  # 0.0663 less than before is 2.18 errors of the difference
        (0, 0.042, 0.0280, False),  # 2.21 of them
        (3, 0.042, 0.0330, False),  # before 3/8 of the time there was more: 0.0928 less, 2.22 errors
        (0, 0.042, 0.0330, True),  # 1.88
        (2, -0.02, 0.01, False),
    ],
)
def test_the_skill_must_hold_in_every_newest_window(
    window: int, score: float, error: float, kept: bool
) -> None:
    """A window is dead when too little of what was before it is left, and that is no chance."""
    windows = list(recent(0.1, 0.1, 0.1, 0.1))
    windows[window] = replace(windows[window], score=score, standard_error=error)
    row = _only(_rank(cell(recent=tuple(windows))))
    assert row.kept is kept
    words = f"but the skill is gone in the newest {windows[window].share:.0%} of the time: {score:.4g} ± "
    assert (words in row.reason) is not kept


def test_classes_are_held_to_one_half_at_the_end() -> None:
    """What is left of an AUC is counted from one half: 0.52 of 0.60 is a fifth, and dead."""
    values: dict[str, Any] = {"metric": "auc", "score": 0.6, "low": 0.58, "high": 0.62}
    folds = (fold_view((0, 0, 0), score=0.6),)
    assert _only(_rank(cell(**values, folds=folds, recent=recent(0.6, 0.57)))).kept
    row = _only(_rank(cell(**values, folds=folds, recent=recent(0.6, 0.52, error=0.011))))
    assert "gone in the newest 19% of the time: 0.52" in row.reason
    row = _only(_rank(cell(**values, folds=(fold_view((0, 0, 0), score=0.499),), recent=recent(0.6))))
    assert "the last fold has no skill left (0.499)" in row.reason


def _symbol(symbol: str = "AAA", **changes: Any) -> Skill:
    return cell(**{"view": "SYMBOL_SPECIFIC", "symbol": symbol, "metric": "rank_corr", **changes})


DEAD: dict[str, Any] = {"recent": recent(0.0, error=0.001)}


def test_a_symbol_without_a_law_of_its_own_dies_with_the_common_one() -> None:
    """Its windows are too short to see the death, those of all symbols are not; the reason says where."""
    row = _rank(cell(**DEAD), _symbol(deviation_p=0.6)).rows[-1]
    assert (row.symbol, row.kept) == ("AAA", False)
    assert row.reason == (
        "dropped: rank_corr 0.1; alpha, beta: z +8.0, but no law of its own, and of the common one "
        "the skill is gone in the newest 12% of the time: 0 ± 0.001 after 0.1143"
    )


@pytest.mark.parametrize(
    ("common", "own"),
    [
        (DEAD, {"deviation_p": 1e-4}),  # the symbol has a law of its own
        ({}, {"deviation_p": 0.6}),  # the common law lives
        ({**DEAD, "p_value": 0.2}, {"deviation_p": 0.6}),  # there was no common law that could die
        ({**DEAD, "low": -0.01}, {"deviation_p": 0.6}),
    ],
)
def test_a_symbol_outlives_the_common_law_otherwise(common: dict[str, Any], own: dict[str, Any]) -> None:
    """A law of its own stands alone, and what never was a common law cannot die."""
    assert _rank(cell(**common), _symbol(**own)).rows[-1].kept


def test_a_common_law_dies_for_its_own_target_alone() -> None:
    """Symbols of other targets are not touched."""
    rows = _rank(cell(**DEAD), _symbol(target="z", deviation_p=0.6), cell(target="z")).rows
    assert [(row.target, row.kept) for row in rows if row.symbol] == [("z", True)]


def test_laws_of_their_own_are_tested_targets_first() -> None:
    """One lucky symbol of a target where none deviates gets no small q; untested symbols have none."""
    real = [_symbol(name, target="a", deviation_p=1e-8) for name in ("AAA", "BBB")]
    luck = [_symbol(name, target="b", deviation_p=p) for name, p in (("AAA", 0.02), ("BBB", 0.9))]
    untested = [_symbol("CCC", target="b")]
    found = _rank(cell(target="a"), *real, cell(target="b"), *luck, *untested).deviation_q
    assert set(found) == {(target, symbol) for target in "ab" for symbol in ("AAA", "BBB")}
    assert found["a", "AAA"] < 1e-6
    # Family b by Simes: 0.04; two families: q 0.04; within b 0.04, times two families of two kept.
    assert found["b", "AAA"] == pytest.approx(0.04)
    lone = _rank(
        cell(target="b"), *luck, *[_symbol("AAA", target=f"n{n}", deviation_p=0.9) for n in range(9)]
    )
    assert lone.deviation_q["b", "AAA"] > 0.3


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
        cell(
            target="b",
            metric="auc",
            score=0.62,
            low=0.60,
            folds=(fold_view((0, 0, 0), score=0.62),),
            recent=recent(0.62),
        ),
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
