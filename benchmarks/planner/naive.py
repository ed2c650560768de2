"""The naive way: for each target, fold and family slice a float64 frame, construct, train, score, take gains.

It is what a notebook does, with the planner's own purged folds and scores, so that only the way of working
differs: `ROUNDS` rounds of LightGBM with 31 leaves and of XGBoost with depth 6, on one thread.
Nothing else of planning is in it: no probe for leaks, no null, no selection but the gain.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import xgboost

from panel import Panel, holdout_from, prepare_panel, score, walk_forward
from panel.folds import Fold

ROUNDS = 100
FOLDS = 4
FAMILIES = ("LightGBM", "XGBoost")
TASKS = {"regression": "regression", "binary": "binary", "multiclass": "multiclass"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One (target, symbol or None for all, fold, family)."""

    target: str
    symbol: str | None
    fold: int
    family: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a cell gave, and what it cost."""

    cell: Cell
    score: float  # above no skill
    leading: tuple[str, ...]
    cpu_seconds: float


class Notebook:
    """All symbols' rows in one frame, as a notebook has them; the panel serves folds and scores only."""

    def __init__(self, data_dir: Path, cache_dir: Path, horizons: dict[str, int]) -> None:
        self.panel: Panel = prepare_panel(data_dir, symbols=None, cache_dir=cache_dir, horizons=horizons)
        started = time.process_time()
        files = sorted(data_dir.glob("symbol=*/*.parquet"))
        self.frame = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
        self.features = list(self.panel.feature_names)
        numbers = [name for name in self.frame.columns if name != "ts"]
        self.frame[numbers] = self.frame[numbers].astype(np.float64).replace([np.inf, -np.inf], np.nan)
        self.read_seconds = time.process_time() - started

    def cells(self, *, alone: bool = False) -> Iterator[Cell]:
        """Every cell of the pooled view, or of the symbols' own."""
        symbols: tuple[str | None, ...] = self.panel.symbols if alone else (None,)
        targets = [column.name for column in self.panel.targets]
        for target, symbol, fold, family in product(targets, symbols, range(FOLDS), FAMILIES):
            yield Cell(target=target, symbol=symbol, fold=fold, family=family)

    def measure(self, cells: Iterable[Cell]) -> Iterator[Scored]:
        """Do the cells one by one."""
        for cell in cells:
            started = time.process_time()
            value, leading = self._scored(cell)
            yield Scored(cell=cell, score=value, leading=leading, cpu_seconds=time.process_time() - started)

    def _scored(self, cell: Cell) -> tuple[float, tuple[str, ...]]:
        column = self.panel.column(cell.target)
        horizon = column.horizon_bars or 1
        fold = self._fold(cell, horizon)
        train = self.frame.iloc[fold.train]
        train = train[train[cell.target].notna()]
        test = self.frame.iloc[fold.test]
        seen = test[cell.target].notna().to_numpy()
        labels = train[cell.target]
        if column.classes:
            labels = labels.map({value: place for place, value in enumerate(column.classes)})
        task = TASKS[column.task or "regression"]
        grow = _grown_by_lightgbm if cell.family == "LightGBM" else _grown_by_xgboost
        prediction, gains = grow(train[self.features], labels, test[self.features], task, len(column.classes))
        rows = fold.test[seen]
        found = score(
            prediction[seen],
            self.panel.values(cell.target)[rows],
            self.panel.time_codes[rows],
            self.panel.symbol_codes[rows],
            task=column.task or "regression",
            view="SYMBOL_SPECIFIC" if cell.symbol else "CROSS_SECTIONAL",
            horizon_bars=horizon,
        )
        order = np.argsort(-gains, kind="stable")[:20]
        return found.value - (0.5 if column.classes else 0.0), tuple(self.features[n] for n in order)

    def _fold(self, cell: Cell, horizon: int) -> Fold:
        rows = None if cell.symbol is None else np.arange(self.panel.rows)[self.panel.rows_of(cell.symbol)]
        until = holdout_from(self.panel)
        return walk_forward(self.panel, horizon_bars=horizon, rows=rows, folds=FOLDS, until=until)[cell.fold]


def kept_targets(scored: Iterable[Scored]) -> list[str]:
    """The targets whose mean score over the folds is more than two of its standard errors above no skill."""
    by_fold: dict[str, dict[int, list[float]]] = {}
    for one in scored:
        by_fold.setdefault(one.cell.target, {}).setdefault(one.cell.fold, []).append(one.score)
    kept = []
    for target, folds in by_fold.items():
        means = np.array([np.mean(values) for values in folds.values()])
        error = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.inf
        if means.mean() > 2.0 * error:
            kept.append(target)
    return kept


def _grown_by_lightgbm(
    train: pd.DataFrame, labels: pd.Series[Any], test: pd.DataFrame, task: str, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    settings: dict[str, Any] = {
        "objective": task, "num_leaves": 31, "learning_rate": 0.05, "num_threads": 1, "verbosity": -1,
        **({"num_class": classes} if task == "multiclass" else {}),
    }  # fmt: skip
    model = lightgbm.train(settings, lightgbm.Dataset(train, labels), num_boost_round=ROUNDS)
    return np.asarray(model.predict(test)), model.feature_importance("gain")


def _grown_by_xgboost(
    train: pd.DataFrame, labels: pd.Series[Any], test: pd.DataFrame, task: str, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    objective = {"regression": "reg:squarederror", "binary": "binary:logistic"}.get(task, "multi:softprob")
    settings: dict[str, Any] = {
        "objective": objective, "max_depth": 6, "eta": 0.05, "nthread": 1, "tree_method": "hist",
        **({"num_class": classes} if task == "multiclass" else {}),
    }  # fmt: skip
    model = xgboost.train(settings, xgboost.DMatrix(train, labels), num_boost_round=ROUNDS)
    gains = model.get_score(importance_type="total_gain")
    return model.predict(xgboost.DMatrix(test)), np.array([gains.get(name, 0.0) for name in train.columns])
