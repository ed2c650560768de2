"""The rows of one fit, and refusals in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from executor_panels import symbol_frame, write_panel

from executors.contract import FitSpec
from executors.dataset import fit_data
from executors.errors import BadInput
from panel.aligned import Panel
from panel.errors import PanelError, UnknownColumn, UnknownSymbol

SpecMaker = Callable[..., FitSpec]


def test_parts_follow_each_other_in_time_and_are_purged(make_spec: SpecMaker, panel: Panel) -> None:
    """No training label ends after validation begins, none of validation after the test begins."""
    data = fit_data(make_spec())
    ends = panel.label_end_codes(data.horizon_bars)
    codes = panel.time_codes
    assert ends[data.train].max() < codes[data.valid].min()
    assert ends[data.valid].max() < codes[data.test].min()
    assert len(data.train) > 3 * len(data.valid)


def test_only_rows_with_a_finite_label_are_used(make_spec: SpecMaker) -> None:
    """The ten rows a symbol whose label is missing are left out."""
    with_gaps = fit_data(make_spec(target="y_noise_1d"))
    without = fit_data(make_spec())
    assert len(without.train) - len(with_gaps.train) == 60
    assert np.isfinite(with_gaps.labels_at(with_gaps.train)).all()


def test_a_symbol_specific_fit_sees_its_symbol_alone(make_spec: SpecMaker, panel: Panel) -> None:
    """All its rows are of the symbol asked for."""
    data = fit_data(make_spec(training_type="symbol_specific", symbol="CCC"))
    own = panel.rows_of("CCC")
    for rows in (data.train, data.valid, data.test):
        assert own.start <= rows.min()
        assert rows.max() < own.stop


def test_features_are_all_of_the_panel_or_those_asked_for_less_the_blocked(make_spec: SpecMaker) -> None:
    """An empty list means all, the order is kept, blocked ones never come in."""
    assert fit_data(make_spec()).features == tuple(f"f{number}" for number in range(8))
    spec = make_spec(features=("f5", "f1", "f0"), blocked_features=("f1",))
    assert fit_data(spec).features == ("f5", "f0")


def test_infinite_features_are_missing_ones(make_spec: SpecMaker, tmp_path: Path) -> None:
    """An infinity in the data reaches no library."""
    frame = symbol_frame("A", 0)
    frame.loc[5, "f0"] = np.inf
    panel = write_panel(tmp_path, {"A": frame})
    data = fit_data(make_spec(panel_path=panel.path, panel_key=panel.key))
    assert not np.isinf(data.features_at(slice(0, panel.rows))).any()


def test_rows_without_a_full_window_are_left_out_for_sequences(make_spec: SpecMaker) -> None:
    """With windows of 20 rows each symbol loses its first 19."""
    assert len(fit_data(make_spec()).train) - len(fit_data(make_spec(), window=20).train) == 6 * 19


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"panel_key": "d_other"}, "plan again with this data"),
        ({"target": "f0"}, "target f0: cannot be learnt: it is a feature column"),
        ({"features": ("f0", "y_noise_1d")}, "feature y_noise_1d of target fwd_ret_1d: cannot be used"),
        ({"features": ("f0",), "blocked_features": ("f0",)}, "target fwd_ret_1d: no feature is left"),
        ({"test_share": 0.83}, "target fwd_ret_1d: only .* rows have a label"),
        ({"embargo_bars": 400}, "target fwd_ret_1d.*rows cannot be split"),
    ],
)
def test_what_makes_a_fit_impossible_is_said_in_one_sentence(
    make_spec: SpecMaker, changes: dict[str, object], words: str
) -> None:
    """The refusal names the target, column or rows."""
    with pytest.raises(BadInput, match=words):
        fit_data(make_spec(**changes))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"target": "fwd_ret_2d"}, UnknownColumn),
        ({"features": ("g0",)}, UnknownColumn),
        ({"training_type": "symbol_specific", "symbol": "ZZZ"}, UnknownSymbol),
    ],
)
def test_unknown_names_are_refused_by_the_panel(
    make_spec: SpecMaker, changes: dict[str, object], error: type[PanelError]
) -> None:
    """Columns and symbols the panel lacks are its own errors."""
    with pytest.raises(error):
        fit_data(make_spec(**changes))


def test_labels_that_teach_nothing_are_refused(make_spec: SpecMaker, tmp_path: Path) -> None:
    """A target with one value in all training rows cannot be learnt, and that is said."""
    frame = symbol_frame("A", 0)
    frame.loc[:400, "y_up_1d"] = 1.0
    panel = write_panel(tmp_path, {"A": frame})
    spec = make_spec(panel_path=panel.path, panel_key=panel.key, target="y_up_1d")
    with pytest.raises(BadInput, match=r"target y_up_1d: all \d+ training rows have the label 1"):
        fit_data(spec)
