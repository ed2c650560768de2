"""Measured skill: out of sample, purged, blind to the final segment, one cell per view."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planner_cells import series
from planner_samples import FEATURES, SYMBOLS, frames, panel_of

from panel.aligned import Panel
from panel.folds import holdout_from
from planner.closing import RECENT_SHARES
from planner.config import RankingConfig
from planner.scores import axis_of, channels_of
from planner.screens import screen
from planner.skill import Skill, no_skill_of
from planner.walking import measure_targets

CONFIG = RankingConfig(boosting_rounds=10, folds=3, jobs=1)
Cells = Mapping[tuple[str, str | None], Skill]


def _measure(
    panel: Panel, *targets: str, config: RankingConfig = CONFIG
) -> dict[tuple[str, str | None], Skill]:
    heard: list[str] = []
    measured = list(
        measure_targets(
            panel,
            dict.fromkeys(targets, panel.feature_names),
            config,
            until=holdout_from(panel, 0.2),
            seed=1,
            tell=heard.append,
        )
    )
    assert sorted(heard) == sorted(targets)
    return {(cell.target, cell.symbol): cell for target in measured for cell in target.cells}


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Four symbols of 900 days."""
    return panel_of(frames(strength=0.6), tmp_path_factory.mktemp("skill"))


@pytest.fixture(scope="module")
def cells(panel: Panel) -> Cells:
    """The cells of all three targets."""
    return _measure(panel, "y_linear_1d", "y_luck_1d", "y_luck_5d")


def test_every_target_has_a_cell_for_all_symbols_and_for_each(
    cells: Cells,
) -> None:
    """Cross-sectional first, then symbol by symbol."""
    assert [symbol for target, symbol in cells if target == "y_luck_1d"] == [None, *SYMBOLS]
    assert all(cell.reason is None for cell in cells.values())


def test_the_driven_target_has_skill_and_luck_has_none(
    cells: Cells,
) -> None:
    """The planted signal is found in every view, the luck in none."""
    for symbol in (None, *SYMBOLS):
        driven = cells["y_linear_1d", symbol]
        assert driven.low is not None
        assert driven.z is not None
        assert driven.low > 0.2
        assert driven.z > 5
        assert (cells["y_luck_1d", symbol].z or 0.0) < 3.5


def test_each_fold_remembers_what_its_training_rows_say(
    cells: Cells,
) -> None:
    """Features are judged in every fold by itself, later folds on more rows."""
    folds = cells["y_linear_1d", None].folds
    assert len(folds) == 3
    assert [fold.train_rows for fold in folds] == sorted(fold.train_rows for fold in folds)
    for fold in folds:
        assert int(np.abs(fold.correlation).argmax()) == sorted(FEATURES).index("alpha")


def test_a_symbol_with_a_law_of_its_own_knows_how_the_common_model_does_on_it(tmp_path: Path) -> None:
    """Only where a symbol differs are models fitted for it, and the pooled one is judged beside them."""
    data = frames(strength=0.3)
    data["CCC"]["y_linear_1d"] += 0.9 * data["CCC"]["beta"]
    cells = _measure(panel_of(data, tmp_path), "y_linear_1d")
    own, other, pooled = (cells["y_linear_1d", symbol] for symbol in ("CCC", "AAA", None))
    assert pooled.deviating == ("CCC",)
    assert own.boosted is not None
    assert own.pooled is not None
    assert own.score is not None
    assert own.pooled < own.score - 0.2
    assert "beta" in (own.deviation or "")
    assert (other.boosted, other.pooled, pooled.pooled) == (None, None, None)


def test_the_path_of_sizes_ends_with_all_features(cells: Cells) -> None:
    """Where models were fitted, fewer features are compared with all of them; elsewhere there is no path."""
    path = cells["y_linear_1d", None].path
    assert [point.size for point in path] == [2, 3, 4]
    assert (path[-1].behind_all, path[-1].behind_error) == (0.0, 0.0)
    assert cells["y_luck_1d", None].path == ()


def test_recent_windows_lie_within_the_scored_time(cells: Cells) -> None:
    """Newest shares of it, each with its error, which shrinks as the window grows."""
    recent = cells["y_linear_1d", None].recent
    assert [one.share for one in recent] == list(RECENT_SHARES)
    assert recent[0].standard_error > recent[-1].standard_error


def test_a_target_measures_the_same_alone_and_beside_others(panel: Panel, cells: Cells) -> None:
    """Neither other targets nor how they are grouped change one digit."""
    for target in ("y_linear_1d", "y_luck_5d"):
        alone = _measure(panel, target)
        assert alone == {key: cell for key, cell in cells.items() if key[0] == target}
    grouped = RankingConfig(boosting_rounds=10, folds=3, jobs=2)
    assert _measure(panel, "y_luck_5d", "y_linear_1d", "y_luck_1d", config=grouped) == cells


def test_one_target_is_measured_though_there_are_hands_for_more(panel: Panel, cells: Cells) -> None:
    """A group without a target is not begun: one target of a panel of many is asked for as often as all."""
    alone = _measure(panel, "y_luck_1d", config=RankingConfig(boosting_rounds=10, folds=3, jobs=3))
    assert alone == {place: cell for place, cell in cells.items() if place[0] == "y_luck_1d"}


def test_the_order_of_symbols_and_columns_changes_nothing(cells: Cells, tmp_path: Path) -> None:
    """The same data written backwards, and measured a second time: the same numbers."""
    data = frames(strength=0.6)
    backwards = {name: data[name][list(reversed(data[name].columns))] for name in reversed(SYMBOLS)}
    again = _measure(panel_of(backwards, tmp_path), "y_luck_5d", "y_luck_1d", "y_linear_1d")
    assert again == cells


def test_a_symbol_listed_late_is_not_judged_by_a_model_of_its_first_days(tmp_path: Path) -> None:
    """Folds in which a symbol has few bars yet are left out for it; the others are not disturbed."""
    data = frames(strength=0.6)
    data["DDD"] = data["DDD"].iloc[250:].reset_index(drop=True)
    cells = _measure(panel_of(data, tmp_path), "y_linear_1d")
    late = cells["y_linear_1d", "DDD"]
    assert [fold.train_rows for fold in late.folds] == [108, 288]
    assert len(cells["y_linear_1d", None].folds) == 3
    assert len(cells["y_linear_1d", "AAA"].folds) == 3


def test_a_random_walk_does_not_foretell_itself(tmp_path: Path) -> None:
    """A price against its own coming moves is no law: its mean of all time, which knows them, is in no score.

    Measured from that mean every symbol would lean to the negative, and six of them to a z of about -3.
    """
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        data = {}
        for name in (*SYMBOLS, "EEE", "FFF"):
            shocks = rng.standard_normal(800)
            label = np.array([shocks[at + 1 : at + 11].sum() for at in range(800)])
            label[-10:] = np.nan
            data[name] = series({"price": np.cumsum(shocks), "y_walk_10d": label})
        panel = panel_of(data, tmp_path / str(seed))
        axis = axis_of(panel, holdout_from(panel, 0.2))
        screened = screen(axis, ["price"], channels_of(panel, panel.targets))
        found.append(float(screened.pooled.rank[0, 0]))
    assert abs(float(np.mean(found))) < 1.2


def test_numbers_are_plain_and_cut_to_six_digits(cells: Cells) -> None:
    """What is stored is what is shown: no more digits than mean something."""
    for cell in cells.values():
        assert isinstance(cell.score, float)
        assert cell.score == float(f"{cell.score:.6g}")


def test_rows_whose_window_reaches_the_final_segment_are_no_labels(panel: Panel) -> None:
    """Of 900 days 720 lie before the final segment; the last five labels of five days look into it."""
    cell = _measure(panel, "y_luck_5d")["y_luck_5d", "AAA"]
    assert cell.rows == 720 - 5


def test_nothing_of_the_final_segment_is_seen(tmp_path: Path) -> None:
    """Changing every value from the final segment on leaves every measured number as it was."""
    before = frames(strength=0.6)
    after = {symbol: table.copy() for symbol, table in before.items()}
    rng = np.random.default_rng(99)
    for table in after.values():
        late = table.index >= 720
        for name in (*FEATURES, "y_linear_1d", "y_luck_1d", "y_luck_5d"):
            table.loc[late, name] = rng.standard_normal(int(late.sum())) * 50
        table.loc[(table.index >= 715) & ~late, "y_luck_5d"] = 1e6  # their windows reach into it
        table.loc[(table.index == 719), ["y_linear_1d", "y_luck_1d"]] = -1e6
    one = _measure(panel_of(before, tmp_path / "one"), "y_linear_1d", "y_luck_5d")
    two = _measure(panel_of(after, tmp_path / "two"), "y_linear_1d", "y_luck_5d")
    assert one == two


def test_predictions_come_from_earlier_rows_only(tmp_path: Path) -> None:
    """A rule that reverses before the last fold cannot be known there: its skill is negative."""
    data = frames(strength=0.6)
    for table in data.values():
        table.loc[table.index >= 540, "y_linear_1d"] *= -1.0
    cell = _measure(panel_of(data, tmp_path), "y_linear_1d")["y_linear_1d", None]
    assert cell.folds[0].score > 0.3
    assert cell.folds[-1].score < -0.2


def test_one_symbol_has_no_view_across_symbols(tmp_path: Path) -> None:
    """With a single symbol there is nothing to pool."""
    cells = _measure(panel_of(frames(symbols=("AAA",), strength=0.6), tmp_path), "y_linear_1d")
    assert list(cells) == [("y_linear_1d", "AAA")]


def test_many_symbols_leave_the_single_views_out(panel: Panel) -> None:
    """Above the configured number only all symbols together are measured."""
    cells = _measure(panel, "y_linear_1d", config=RankingConfig(boosting_rounds=5, max_symbols_alone=3))
    assert list(cells) == [("y_linear_1d", None)]


def test_a_symbol_without_rows_before_the_final_segment_says_so(tmp_path: Path) -> None:
    """A late listing is left out with its reason and does not disturb the others."""
    data = frames(strength=0.6)
    data["LATE"] = data["DDD"].iloc[730:].copy()
    cells = _measure(panel_of(data, tmp_path), "y_linear_1d")
    late = cells["y_linear_1d", "LATE"]
    assert (late.score, late.rows) == (None, 0)
    assert late.reason
    assert cells["y_linear_1d", None].score is not None


def test_a_target_without_usable_features_says_so(panel: Panel) -> None:
    """When every feature knows the future there is nothing to predict from."""
    measured = list(
        measure_targets(
            panel, {"y_luck_1d": ()}, CONFIG, until=holdout_from(panel, 0.2), seed=1, tell=lambda _name: None
        )
    )
    assert all(cell.reason and "know the future" in cell.reason for cell in measured[0].cells)


def test_a_target_that_is_constant_before_the_final_segment_says_so(tmp_path: Path) -> None:
    """What only varies later cannot be planned for."""
    data = frames(strength=0.6)
    for table in data.values():
        table.loc[table.index < 730, "y_luck_1d"] = 0.0
    cell = _measure(panel_of(data, tmp_path), "y_luck_1d")["y_luck_1d", None]
    assert cell.reason == "one single value before the final segment"


def test_classes_are_scored_by_auc(tmp_path: Path) -> None:
    """A binary and a three-class target get AUCs, missing labels left out, and no skill is one half."""
    data = frames(strength=0.6)
    for table in data.values():
        driven = table["y_linear_1d"]
        table["y_up_1d"] = (driven > 0).astype(float).where(driven.notna())
        table["y_third_1d"] = (
            pd.Series(np.digitize(driven, [-0.5, 0.5]).astype(float)).where(driven.notna()) - 1.0
        )
        table.loc[::9, "y_up_1d"] = np.nan
    cells = _measure(panel_of(data, tmp_path), "y_up_1d", "y_third_1d")
    for target, metric in (("y_up_1d", "auc"), ("y_third_1d", "auc_ovr")):
        cell = cells[target, None]
        assert cell.metric == metric
        assert cell.low is not None
        assert cell.low > 0.6
        assert no_skill_of(cell) == 0.5
    assert cells["y_up_1d", None].coverage < 0.9


def test_twins_among_features_are_reported(tmp_path: Path) -> None:
    """Two features that are nearly the same are named with their correlation."""
    data = frames(strength=0.6)
    for table in data.values():
        table["alpha_again"] = table["alpha"] * 3.0 + 0.01 * table["beta"]
    cell = _measure(panel_of(data, tmp_path), "y_linear_1d")["y_linear_1d", None]
    assert [(one, two) for one, two, _ in cell.twins] == [("alpha", "alpha_again")]
    assert cell.twins[0][2] > 0.99
