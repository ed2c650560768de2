"""The whole way on real daily bars of five shares, 2000 to 2013."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from panel import (
    Panel,
    holdout,
    holdout_from,
    label_directory,
    persistence,
    prepare_panel,
    score,
    walk_forward,
)


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """AAPL, FB, GOOG, IBM and MSFT, labelled and prepared from one long gzipped csv."""
    spec = find_spec("bokeh_sampledata")
    assert spec is not None
    assert spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0]) / "_data" / "stocks.csv.gz"
    folder = tmp_path_factory.mktemp("shares")
    label_directory(source, folder / "labelled")
    return prepare_panel(folder / "labelled", symbols=None, cache_dir=folder / "cache")


def test_the_panel_holds_what_the_file_holds(shares: Panel) -> None:
    """12,154 rows, FB listed last, every target with its horizon, coverage short only at the ends."""
    assert shares.rows == 12_154
    assert shares.symbols == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    assert {symbol: len(shares.times[shares.rows_of(symbol)]) for symbol in shares.symbols}["FB"] == 196
    assert len(shares.targets) == 14
    assert {target.horizon_bars for target in shares.targets} == {1, 5}
    assert shares.column("fwd_ret_5d").coverage == pytest.approx(1 - 25 / 12_154)
    assert shares.warnings == ()


def test_splits_do_not_look_like_returns(shares: Panel) -> None:
    """The 2-for-1 splits of AAPL would be returns of minus one half."""
    returns = shares.values("fwd_ret_1d")[shares.rows_of("AAPL")]
    assert np.nanmin(returns) > -0.55  # 29 September 2000 really was minus 52 %
    assert (returns < -0.3).sum() == 1


@pytest.mark.parametrize("view", ["CROSS_SECTIONAL", "SYMBOL_SPECIFIC"])
def test_the_range_persists_and_the_direction_does_not(shares: Panel, view: str) -> None:
    """Yesterday's range forecasts tomorrow's far above its error; yesterday's return says next to nothing."""

    def naive(target: str, task: str) -> tuple[float, float]:
        known = persistence(shares, target, 5)
        codes = shares.time_codes, shares.symbol_codes
        made = score(known, shares.values(target), *codes, task=task, view=view, horizon_bars=5)
        return made.value, made.standard_error

    value, error = naive("y_range_5d", "regression")
    assert value > 0.3
    assert value > 10 * error
    value, error = naive("fwd_ret_5d", "regression")
    assert abs(value) < 4 * error < 0.1
    value, error = naive("y_up_5d", "binary")
    assert abs(value - 0.5) < 4 * error < 0.1


def test_splits_in_time_fit_the_data(shares: Panel) -> None:
    """Four folds before the last judgement, FB in none of their training parts, all parts filled."""
    until = holdout_from(shares)
    folds = walk_forward(shares, horizon_bars=5, until=until)
    assert len(folds) == 4
    newest = shares.symbols.index("FB")
    assert all(newest not in shares.symbol_codes[fold.train] for fold in folds)
    split = holdout(shares, horizon_bars=5)
    assert split.test_from == until
    assert newest in shares.symbol_codes[split.test]
    assert min(len(split.train), len(split.valid), len(split.test)) > 1_500
