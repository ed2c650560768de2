"""Which columns are targets, which are features, and why the others are neither.

Judged over all symbols: a target that only some symbols have counts with its coverage there. Nothing that
looks like a label may become a feature, whoever named it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from panel.aligned import FEATURE, LEFT_OUT, TARGET, Column
from panel.horizon import SESSION_MINUTES, horizon_bars
from panel.names import TIME_COLUMNS, unplannable

TARGET_PREFIXES = ("y_", "fwd_ret_")
LABEL_PREFIXES = (
    *TARGET_PREFIXES,
    "p_",
    "ret_zscore_",
    "ret_ord_",
    "tth_",
    "mfe_",
    "mdd_",
    "barrier_",
    "next_",
    "future_",
    "forward_",
    "hit_direction_",
    "hit_asym_",
    "flipcount_",
    "time_in_profit_",
    "max_return_",
    "min_return_",
    "vol_at_t_",
    "excursion_",
    "will_peak",
    "will_valley",
    "xrank_",
    "topk_",
    "slip_gt_",
    "target",
    "label",
)
LABEL_WORDS = ("first_touch", "fwd_ret")
METADATA = frozenset(
    {*TIME_COLUMNS, "y", "ts_pred", "symbol", "ticker", "interval", "source", "_interval_minutes", "index"}
)
METADATA_PREFIXES = ("unnamed:", "__")
RAW_BARS = frozenset({"open", "high", "low", "close", "volume", "adj_close", "adj close", "vwap"})
FEWEST_VALUES = 100
FEWEST_IN_CLASS = 2
MOST_CLASSES = 10

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decides about columns besides their values: the data's interval and the user's settings."""

    interval_ns: int
    session_minutes: int = SESSION_MINUTES
    patterns: tuple[str, ...] = ()
    horizons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Whose rows are whose: `starts` (symbols + 1,) bounds the rows of each symbol."""

    symbols: tuple[str, ...]
    starts: npt.NDArray[np.int64]


def is_target_name(name: str, patterns: Sequence[str] = ()) -> bool:
    """Whether a column is meant as a target: by its prefix, or by a glob pattern of the configuration."""
    return name.startswith(TARGET_PREFIXES) or any(fnmatchcase(name, pattern) for pattern in patterns)


def never_feature(name: str) -> str | None:
    """Why a column must not be a feature going by its name alone, or None."""
    lowered = name.lower()
    if lowered in METADATA or lowered.startswith(METADATA_PREFIXES):
        return "metadata"
    if lowered.startswith(LABEL_PREFIXES) or any(word in lowered for word in LABEL_WORDS):
        return "label-like name; name it in the target patterns to use it as a target"
    return None


def classify_columns(
    values: Mapping[str, Array], texts: Mapping[str, str], rows: Rows, rules: Rules
) -> tuple[Column, ...]:
    """The record of every column, sorted by name.

    `values` maps each numeric column to (rows,) float; `texts` maps each column without numbers to what it
    holds. Bars (open .. volume) are features only where the data has no other.
    """
    columns = [_numeric(name, values[name], rows, rules) for name in values]
    if not any(column.role == FEATURE and column.name.lower() not in RAW_BARS for column in columns):
        return _sorted(columns, texts, rows, rules)
    reason = "raw bar; levels of price and volume are not comparable over time or symbols"
    kept = [
        _left_out(column, reason) if column.role == FEATURE and column.name.lower() in RAW_BARS else column
        for column in columns
    ]
    return _sorted(kept, texts, rows, rules)


def _sorted(
    columns: Sequence[Column], texts: Mapping[str, str], rows: Rows, rules: Rules
) -> tuple[Column, ...]:
    wordy = [_text(name, word, rows, rules) for name, word in texts.items()]
    return tuple(sorted([*columns, *wordy], key=lambda column: column.name))


def _numeric(name: str, values: Array, rows: Rows, rules: Rules) -> Column:
    finite = np.isfinite(values)
    filled = np.concatenate(([0], np.cumsum(finite)))
    counts = filled[rows.starts[1:]] - filled[rows.starts[:-1]]
    sizes = np.maximum(np.diff(rows.starts), 1)
    column = Column(
        name=name,
        role=FEATURE,
        task=None,
        horizon_bars=None,
        classes=(),
        coverage=float(finite.mean()) if len(values) else 0.0,
        coverage_by_symbol={
            symbol: float(share) for symbol, share in zip(rows.symbols, counts / sizes, strict=True)
        },
        reason=None,
    )
    present = values[finite]
    if is_target_name(name, rules.patterns):
        return _target(column, present, rules)
    reason = never_feature(name) or _empty_feature(present)
    return _left_out(column, reason) if reason else column


def _empty_feature(present: Array) -> str | None:
    if not len(present):
        return "all values missing"
    if present.min() == present.max():
        return f"constant ({present[0]:g})"
    return None


def _target(column: Column, present: Array, rules: Rules) -> Column:
    """A target with its task, classes and horizon, or left out with the reason."""
    bars = horizon_bars(
        column.name,
        rules.interval_ns,
        session_minutes=rules.session_minutes,
        overrides=rules.horizons,
    )
    found, counts = np.unique(present, return_counts=True)
    task, classes = _task(column.name, found)
    known = replace(column, role=TARGET, task=task, horizon_bars=bars, classes=classes)
    unnamed = unplannable(column.name)
    reason = f"{unnamed}; rename the column" if unnamed else _unusable_target(known, found, counts)
    return _left_out(known, reason) if reason else known


def _task(name: str, found: Array) -> tuple[str, tuple[float, ...]]:
    if name.startswith("fwd_ret_") or len(found) > MOST_CLASSES:
        return "regression", ()
    classes = tuple(float(value) for value in found)
    return ("binary" if len(found) <= 2 else "multiclass"), classes


def _unusable_target(column: Column, found: Array, counts: npt.NDArray[np.int64]) -> str | None:
    total = int(counts.sum())
    if total == 0:
        return "all values missing"
    if total < FEWEST_VALUES:
        return f"only {total} values, at least {FEWEST_VALUES} are needed"
    if len(found) == 1:
        return f"one single value ({found[0]:g})"
    if column.classes and counts.min() < FEWEST_IN_CLASS:
        return f"class {found[counts.argmin()]:g} has only {counts.min()} row"
    if column.horizon_bars is None:
        return f"horizon unknown on these bars; set [data.horizons] {column.name} = bars"
    if column.horizon_bars < 1:
        return f"horizon of {column.horizon_bars} bars; it must be at least 1"
    return None


def _text(name: str, word: str, rows: Rows, rules: Rules) -> Column:
    kind = "target" if is_target_name(name, rules.patterns) else "column"
    return Column(
        name=name,
        role=LEFT_OUT,
        task=None,
        horizon_bars=None,
        classes=(),
        coverage=0.0,
        coverage_by_symbol=dict.fromkeys(rows.symbols, 0.0),
        reason=f"{kind} holds no numbers ({word})",
    )


def _left_out(column: Column, reason: str) -> Column:
    return replace(column, role=LEFT_OUT, reason=reason)
