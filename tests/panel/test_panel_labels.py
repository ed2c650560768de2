"""Features and targets from raw bars: the numbers are right and nobody looks ahead."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import panel_cases as cases
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from panel.errors import BadData, BadHorizon
from panel.horizon import DAY_NS, MINUTE_NS, horizon_bars
from panel.labels import BARS, label_bars, label_directory
from panel.prepare import prepare_panel

ROWS = 130
RAW = cases.bars(ROWS, 1).assign(adj_close=lambda frame: frame["close"] * 0.25)
BEFORE = label_bars(RAW, DAY_NS, (1, 5))
TARGETS = [str(name) for name in BEFORE.columns if str(name).startswith(("y_", "fwd_ret_"))]
FEATURES = [str(name) for name in BEFORE.columns if str(name) not in {"ts", *BARS, *TARGETS}]


def perturbed(first: int, last: int, seed: int) -> pd.DataFrame:
    """The bars with all prices and volumes from bar `first` to bar `last` replaced by wild other ones."""
    rng = np.random.default_rng(seed)
    wild = slice(max(0, first), last + 1)
    factors = np.ones((3, ROWS))
    factors[:, wild] = rng.uniform(0.2, 5.0, (3, ROWS))[:, wild]
    prices = {name: RAW[name] * factors[0] for name in ("open", "high", "low", "close")}
    return RAW.assign(**prices, adj_close=RAW["adj_close"] * factors[1], volume=RAW["volume"] * factors[2])


def unequal(after: pd.DataFrame, name: str) -> np.ndarray:
    """Rows where a column is not bit for bit what it was before."""
    old, new = BEFORE[name].to_numpy(), after[name].to_numpy()
    return np.flatnonzero(old.view(f"u{old.itemsize}") != new.view(f"u{new.itemsize}"))


@pytest.mark.parametrize("bar", range(ROWS - 1))
def test_no_feature_changes_when_later_bars_change(bar: int) -> None:
    """Every feature up to bar t is bit for bit the same, whatever happens after t, for every t."""
    after = label_bars(perturbed(bar + 1, ROWS, bar), DAY_NS, (1, 5))
    assert len(FEATURES) >= 20
    for name in FEATURES:
        touched = unequal(after, name)
        assert not len(touched) or touched.min() > bar, name


@settings(max_examples=25, deadline=None)
@given(bar=st.integers(25, ROWS - 7), seed=st.integers(0, 1_000))
def test_a_label_knows_nothing_after_its_horizon(bar: int, seed: int) -> None:
    """The label at t stays bit for bit the same when bars after t + h change."""
    for ahead in (1, 5):
        after = label_bars(perturbed(bar + ahead + 1, ROWS, seed), DAY_NS, (1, 5))
        own = [name for name in TARGETS if horizon_bars(name, DAY_NS) == ahead]
        assert len(own) == 7
        for name in own:
            touched = unequal(after, name)
            assert not len(touched) or touched.min() > bar, name


@settings(max_examples=25, deadline=None)
@given(bar=st.integers(30, ROWS - 7), seed=st.integers(0, 1_000))
def test_a_label_knows_the_past_only_by_close_and_sigma(bar: int, seed: int) -> None:
    """With bar t and all after it untouched, only barrier labels move, through the volatility known at t."""
    after = label_bars(perturbed(0, bar - 1, seed), DAY_NS, (1, 5))
    for name in TARGETS:
        if "will_peak" not in name:
            touched = unequal(after, name)
            assert not len(touched) or touched.max() < bar, name
    old = label_bars(perturbed(0, bar - 21, seed), DAY_NS, (1, 5))
    for name in TARGETS:
        touched = unequal(old, name)
        assert not len(touched) or touched.max() < bar, name


@pytest.mark.parametrize("name", TARGETS)
def test_every_label_does_look_at_each_bar_of_its_horizon(name: str) -> None:
    """Each of t+1 .. t+h can move some label (for point returns: the last one), so none is shifted."""
    ahead = horizon_bars(name, DAY_NS) or 0
    last_only = "ret" in name or "y_up" in name
    for step in range(ahead if last_only else 1, ahead + 1):
        changes = ((bar, perturbed(bar + step, bar + step, bar)) for bar in range(30, 100))
        assert any(bar in unequal(label_bars(frame, DAY_NS, (1, 5)), name) for bar, frame in changes), step


@pytest.mark.parametrize("ahead", [1, 5])
def test_targets_are_what_their_names_say(ahead: int) -> None:
    """Every row against plain slices of the adjusted bars."""
    high, low, close = (RAW[name].to_numpy() * 0.25 for name in ("high", "low", "close"))
    returns = np.diff(np.log(close), prepend=np.nan)
    touches = []
    for bar in range(20, ROWS - ahead):
        now, window, row = close[bar], slice(bar + 1, bar + ahead + 1), BEFORE.iloc[bar]
        expected = {
            f"fwd_ret_{ahead}d": close[bar + ahead] / now - 1.0,
            f"y_abs_ret_{ahead}d": abs(close[bar + ahead] / now - 1.0),
            f"y_range_{ahead}d": (high[window].max() - low[window].min()) / now,
            f"y_mfe_{ahead}d": high[window].max() / now - 1.0,
            f"y_mdd_{ahead}d": low[window].min() / now - 1.0,
            f"y_up_{ahead}d": float(close[bar + ahead] > now),
        }
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=1e-4, abs=1e-7), (bar, name)
        sigma = returns[bar - 19 : bar + 1].std(ddof=1) * math.sqrt(ahead)
        touches.append(float(high[window].max() >= now * (1.0 + sigma)))
    made = BEFORE[f"y_will_peak_{ahead}d_1.0"].to_numpy()
    assert made[20 : ROWS - ahead].tolist() == touches
    assert 5 < sum(touches) < 100


def test_features_are_what_their_names_say() -> None:
    """One row checked by hand: return, volatility, position, distance."""
    close = RAW["close"].to_numpy() * 0.25
    bar = 99
    row = BEFORE.iloc[bar]
    returns = np.diff(np.log(close))
    assert row["ret_5"] == pytest.approx(math.log(close[bar] / close[bar - 5]), rel=1e-4)
    assert row["vol_20"] == pytest.approx(returns[bar - 20 : bar].std(ddof=1), rel=1e-5)
    assert row["dist_mean_10"] == pytest.approx(close[bar] / close[bar - 9 : bar + 1].mean() - 1.0, rel=1e-4)
    assert row["gap_1"] == pytest.approx(math.log(RAW["open"][bar] / RAW["close"][bar - 1]), rel=1e-4)
    gains = returns[bar - 14 : bar]
    assert row["rsi_14"] == pytest.approx(gains[gains > 0].sum() / np.abs(gains).sum(), rel=1e-5)
    assert 0.0 <= row["position_20"] <= 1.0


def test_missing_history_and_future_are_missing_values() -> None:
    """Windows are never filled up: the first and last rows say NaN."""
    history = {"ret_1": 1, "ret_20": 20, "vol_5": 5, "vol_60": 60, "range_1": 0, "range_20": 19, "atr_14": 14}
    history |= {"rsi_14": 14, "macd_hist": 33, "dist_mean_50": 49, "volume_z_20": 19, "gap_1": 1}
    for name, missing in history.items():
        assert BEFORE[name].isna().to_numpy().nonzero()[0].tolist() == list(range(missing)), name
    assert BEFORE["ret_20"].isna().to_numpy().nonzero()[0].tolist() == list(range(20))
    assert BEFORE["fwd_ret_5d"].isna().to_numpy().nonzero()[0].tolist() == list(range(ROWS - 5, ROWS))
    assert BEFORE["y_up_1d"].isna().to_numpy().nonzero()[0].tolist() == [ROWS - 1]
    assert len(BEFORE) == ROWS


def test_a_split_is_no_return() -> None:
    """Halving the price with the adjusted close untouched leaves every column as without the split."""
    plain = cases.bars(ROWS, 2).assign(adj_close=lambda frame: frame["close"])
    split = plain.copy()
    for name in ("open", "high", "low", "close"):
        split.loc[60:, name] = split.loc[60:, name] / 2.0
    one, two = label_bars(plain, DAY_NS), label_bars(split, DAY_NS)
    for name in one.columns.drop("ts"):
        assert np.allclose(one[name], two[name], rtol=1e-4, atol=1e-6, equal_nan=True), name


@pytest.mark.parametrize(
    ("step", "interval_ns", "names", "clock"),
    [
        (cases.DAY, DAY_NS, {"fwd_ret_1d", "fwd_ret_5d"}, "weekday_sin"),
        (pd.Timedelta(minutes=5), 5 * MINUTE_NS, {"fwd_ret_5m", "fwd_ret_25m"}, "time_of_day_cos"),
        (pd.Timedelta(hours=1), 60 * MINUTE_NS, {"fwd_ret_1h", "fwd_ret_5h"}, "time_of_day_sin"),
    ],
)
def test_horizons_are_named_in_the_datas_unit(
    step: pd.Timedelta, interval_ns: int, names: set[str], clock: str
) -> None:
    """Days on daily bars, minutes and hours within the day, and the clock that fits."""
    made = label_bars(cases.bars(80, step=step), interval_ns)
    assert {name for name in made.columns if name.startswith("fwd_ret_")} == names
    assert clock in made.columns


def test_a_quiet_market_gives_missing_values_not_infinities() -> None:
    """Prices that do not move divide nothing by zero."""
    flat = cases.bars(ROWS).assign(open=5.0, high=5.0, low=5.0, close=5.0, volume=0.0)
    made = label_bars(flat, DAY_NS)
    assert not np.isinf(made.drop(columns="ts").to_numpy(dtype=np.float64)).any()
    assert made["fwd_ret_1d"].dropna().eq(0.0).all()


@pytest.mark.parametrize("ahead", [0, -3])
def test_a_horizon_must_look_ahead(ahead: int) -> None:
    """Zero bars would put the present into the label."""
    with pytest.raises(BadHorizon, match=f"{ahead} bars"):
        label_bars(RAW, DAY_NS, (1, ahead))


def raw_directory(folder: Path) -> Path:
    """Raw bars of two symbols as csv, columns in capitals."""
    folder.mkdir()
    for place, symbol in enumerate(("AAPL", "BRK.B")):
        frame = cases.bars(ROWS, place).rename(columns=str.capitalize).rename(columns={"Ts": "Date"})
        frame.to_csv(folder / f"{symbol}.csv", index=False)
    return folder


def test_a_labelled_directory_becomes_a_panel(tmp_path: Path) -> None:
    """What labelling writes, preparing reads: features, targets, horizons."""
    summary = label_directory(raw_directory(tmp_path / "raw"), tmp_path / "out")
    assert summary.rows == {"AAPL": ROWS, "BRK.B": ROWS}
    made = prepare_panel(tmp_path / "out", symbols=None, cache_dir=tmp_path / "cache")
    assert made.symbols == ("AAPL", "BRK.B")
    assert set(made.feature_names) == set(summary.features)
    assert {target.name for target in made.targets} == set(summary.targets)
    assert {target.horizon_bars for target in made.targets} == {1, 5}


def test_labelling_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    """The files hold neither clock nor path."""
    raw = raw_directory(tmp_path / "raw")
    for place in ("one", "two"):
        label_directory(raw, tmp_path / place, symbols=["AAPL"], horizons=(2,))
    written = Path("symbol=AAPL") / "AAPL.parquet"
    assert (tmp_path / "one" / written).read_bytes() == (tmp_path / "two" / written).read_bytes()
    assert pq.read_metadata(tmp_path / "one" / written).row_group(0).column(0).compression == "ZSTD"
    assert not (tmp_path / "one" / "symbol=BRK.B").exists()


@pytest.mark.parametrize("inside", [".", "labelled", "../raw"])
def test_raw_bars_are_never_written_over(inside: str, tmp_path: Path) -> None:
    """The result must lie elsewhere, or the next reading would find both."""
    raw = cases.write({"AAPL": cases.bars(40)}, tmp_path / "raw")
    with pytest.raises(BadData, match="would mix with the raw ones"):
        label_directory(raw, raw / inside)
    assert len(list(raw.rglob("*.parquet"))) == 1


def test_bars_without_a_needed_column_are_refused(tmp_path: Path) -> None:
    """The message names the symbol and the column."""
    cases.write({"AAPL": cases.bars(40).drop(columns="volume")}, tmp_path / "raw")
    with pytest.raises(BadData, match="AAPL has no column volume"):
        label_directory(tmp_path / "raw", tmp_path / "out")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ahead=st.integers(1, 40))
def test_any_horizon_ends_where_it_should(ahead: int) -> None:
    """For every h the last h labels are missing and the one before them is the last close over its own."""
    made = label_bars(RAW, DAY_NS, (ahead,))[f"fwd_ret_{ahead}d"].to_numpy()
    close = RAW["close"].to_numpy()
    assert np.isnan(made[-ahead:]).all()
    assert made[-ahead - 1] == pytest.approx(close[-1] / close[-ahead - 1] - 1.0, rel=1e-4, abs=1e-7)
