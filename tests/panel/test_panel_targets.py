"""What becomes a target, what a feature, and what is left out with which reason."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from panel.aligned import Column
from panel.horizon import DAY_NS
from panel.targets import Rows, Rules, classify_columns, is_target_name, never_feature

Array = npt.NDArray[Any]
ROWS = Rows(symbols=("A", "B"), starts=np.array([0, 300, 500]))
NOISE = np.random.default_rng(0).normal(size=500).astype(np.float32)


def judged(name: str, values: Array, **rules: Any) -> Column:
    """The record of one column beside an ordinary feature."""
    columns = classify_columns(
        {name: values, "ordinary": NOISE}, {}, ROWS, Rules(**{"interval_ns": DAY_NS, **rules})
    )
    return next(column for column in columns if column.name == name)


def with_holes(values: Array, present: int) -> Array:
    """The values with all but the first `present` missing."""
    out = values.copy()
    out[present:] = np.nan
    return out


@pytest.mark.parametrize(
    ("name", "values", "task", "classes"),
    [
        ("fwd_ret_5d", NOISE, "regression", ()),
        ("fwd_ret_5d", np.sign(NOISE), "regression", ()),
        ("y_range_5d", NOISE, "regression", ()),
        ("y_up_5d", (NOISE > 0).astype(np.float32), "binary", (0.0, 1.0)),
        ("y_first_touch_5d_0.8", np.clip(np.round(NOISE), -1, 1), "multiclass", (-1.0, 0.0, 1.0)),
    ],
)
def test_the_task_follows_name_and_values(name: str, values: Array, task: str, classes: Any) -> None:
    """Returns are always numbers to predict; few distinct values are classes."""
    column = judged(name, values)
    assert (column.role, column.task, column.classes) == ("target", task, classes)
    assert column.horizon_bars == 5


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("y_a_5d", np.full(500, np.nan, np.float32), "all values missing"),
        ("y_a_5d", with_holes(NOISE, 99), "only 99 values, at least 100"),
        ("y_a_5d", np.ones(500, np.float32), "one single value (1)"),
        ("y_a_5d", np.eye(1, 500, 7, dtype=np.float32)[0], "class 1 has only 1 row"),
        ("y_a", NOISE, "set [data.horizons] y_a = bars"),
        ("y_a_10m", NOISE, "set [data.horizons] y_a_10m = bars"),
    ],
)
def test_an_unusable_target_says_why(name: str, values: Array, reason: str) -> None:
    """Left out, never silently, and never turned into a feature."""
    column = judged(name, values)
    assert column.role == "left_out"
    assert reason in (column.reason or "")


def test_a_hundred_values_are_enough() -> None:
    """The bound itself is inside."""
    assert judged("y_a_5d", with_holes(NOISE, 100)).role == "target"


def test_an_override_rescues_an_unknown_horizon() -> None:
    """The fix named in the reason works."""
    column = judged("y_a", NOISE, horizons={"y_a": 3})
    assert (column.role, column.horizon_bars) == ("target", 3)
    assert "at least 1" in (judged("y_a", NOISE, horizons={"y_a": 0}).reason or "")


def test_coverage_counts_every_symbol() -> None:
    """A target only one symbol has is a target, with its coverage told symbol by symbol."""
    column = judged("y_a_5d", with_holes(NOISE, 300))
    assert column.role == "target"
    assert column.coverage == pytest.approx(0.6)
    assert column.coverage_by_symbol == {"A": 1.0, "B": 0.0}


def test_patterns_make_targets_of_other_names() -> None:
    """Label-like columns become targets when named, features never."""
    assert judged("mfe_5d", NOISE).role == "left_out"
    assert judged("mfe_5d", NOISE, patterns=("mfe_*",)).role == "target"
    assert is_target_name("anything", ("any*",))
    assert not is_target_name("anything")


@pytest.mark.parametrize(
    "name",
    [
        "p_up_10m_0.5",
        "ret_zscore_15m",
        "tth_10m",
        "mfe_15m",
        "mdd_15m",
        "barrier_up_10m",
        "next_close",
        "future_ret",
        "FUTURE_RET",
        "hit_direction_10m",
        "mfe_share_15m",
        "x_first_touch_10m",
        "log_fwd_ret_5d",
        "target",
        "label_3",
        "will_peak_10m",
        "timestamp",
        "interval",
        "_interval_minutes",
        "Unnamed: 0",
        "y",
    ],
)
def test_labels_and_metadata_are_never_features(name: str) -> None:
    """By name alone, whatever the values."""
    column = judged(name, NOISE)
    assert column.role == "left_out"
    assert column.reason == never_feature(name)


@pytest.mark.parametrize("name", ["rsi_14", "ret_5", "vol_20", "momentum_1d", "yield_spread", "price_z"])
def test_ordinary_names_are_features(name: str) -> None:
    """Nothing is lost to a prefix that only looks alike."""
    assert judged(name, NOISE).role == "feature"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full(500, np.nan, np.float32), "all values missing"),
        (np.full(500, 2.5, np.float32), "constant (2.5)"),
    ],
)
def test_empty_and_constant_columns_are_no_features(values: Array, reason: str) -> None:
    """They carry nothing, and some families fail on them."""
    column = judged("flat", values)
    assert (column.role, column.reason) == ("left_out", reason)


def test_columns_without_numbers_are_told() -> None:
    """Words are left out with the word as the reason, targets named as such."""
    rules = Rules(interval_ns=DAY_NS)
    words = {"sector": "'tech' in A", "y_word": "'n/k' in B"}
    made = {c.name: c for c in classify_columns({"ordinary": NOISE}, words, ROWS, rules)}
    assert made["sector"].reason == "column holds no numbers ('tech' in A)"
    assert made["y_word"].reason == "target holds no numbers ('n/k' in B)"
    assert list(made) == sorted(made)


def test_raw_bars_are_features_only_when_there_is_nothing_else() -> None:
    """Levels of price and volume mislead models; with other features at hand they stay out."""
    rules = Rules(interval_ns=DAY_NS)
    alone = classify_columns({"Close": NOISE, "volume": NOISE}, {}, ROWS, rules)
    assert {column.role for column in alone} == {"feature"}
    beside = judged("Close", NOISE)
    assert beside.role == "left_out"
    assert "not comparable" in (beside.reason or "")


@pytest.mark.parametrize("name", ["y_a/b_5d", "y_../../etc_5d", "y_line\nbreak_5d", "y_" + "x" * 260 + "_5d"])
def test_a_target_no_plan_could_name_is_left_out_alone(name: str) -> None:
    """One odd column must not cost the plan of all others."""
    column = judged(name, NOISE)
    assert column.role == "left_out"
    assert (column.reason or "").endswith("; rename the column")
