"""The expensive half of ranking: out-of-sample predictions, and what each fold thought of the features.

Predictions come from purged, embargoed walk-forward folds only, split by time, all before the final
segment. What is measured here depends on data and settings, not on thresholds: judging is done in ranking.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from panel.aligned import Column, Panel
from panel.errors import TooShort
from panel.folds import Fold, walk_forward
from panel.metrics import Score, no_skill, persistence, score
from planner.config import RankingConfig
from planner.learners import FoldFit, FoldRows, fit_fold
from planner.rounding import rounded
from planner.shift_null import ShiftTest, TimeAxis, shift_test, time_axis
from planner.tables import CROSS_SECTIONAL, SYMBOL_SPECIFIC

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEWEST_TRAIN_ROWS = 100
FEWEST_TEST_ROWS = 20
TWIN_LINE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldView:
    """One fold: its score, and what its training rows say of each feature, ordered as Skill.features."""

    score: float
    train_rows: int
    train_timestamps: int
    correlation: tuple[float, ...]
    ridge: tuple[float, ...]
    gain: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """The measured skill of one (target, view, symbol); `reason` says why when nothing could be measured."""

    target: str
    view: str
    symbol: str | None
    features: tuple[str, ...]
    horizon_bars: int = 1
    rows: int = 0
    scored_rows: int = 0
    coverage: float = 0.0
    metric: str | None = None
    score: float | None = None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    effective_rows: float = 0.0
    z: float | None = None
    p_value: float | None = None
    shifts: int = 0
    persistence: float | None = None
    pooled: float | None = None
    folds: tuple[FoldView, ...] = ()
    twins: tuple[tuple[str, str, float], ...] = ()  # features alike in the last training fold
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything measured about one target: its cells, all symbols first, then each symbol."""

    target: str
    cells: tuple[Skill, ...]


def measure_targets(
    panel: Panel,
    features_by_target: Mapping[str, Sequence[str]],
    config: RankingConfig,
    *,
    until: int,
    seed: int,
    tell: Callable[[str], None],
) -> Iterator[Measured]:
    """Yield the measured skill of each target, using only what is known before time code `until`.

    Targets with the same horizon and the same usable features share folds and binned rows. `tell` is called
    with each target as it is done.
    """
    axis = time_axis(panel)
    groups: dict[tuple[int, tuple[str, ...]], list[Column]] = {}
    for target, features in sorted(features_by_target.items()):
        column = panel.column(target)
        groups.setdefault((column.horizon_bars or 1, tuple(features)), []).append(column)
    for (horizon, features), columns in groups.items():
        group = _Group(panel, features, horizon, until, config, seed, axis)
        cells: dict[str, list[Skill]] = {column.name: [] for column in columns}
        pooled: dict[str, npt.NDArray[Any]] = {}
        for view, symbol in _views(panel, config):
            for column, (cell, prediction) in zip(
                columns, group.measure(columns, view, symbol, pooled), strict=True
            ):
                cells[column.name].append(cell)
                if view == CROSS_SECTIONAL and prediction is not None:
                    pooled[column.name] = prediction
        for column in columns:
            tell(column.name)
            yield Measured(target=column.name, cells=tuple(cells[column.name]))


def _views(panel: Panel, config: RankingConfig) -> list[tuple[str, str | None]]:
    pooled: list[tuple[str, str | None]] = [(CROSS_SECTIONAL, None)] if len(panel.symbols) > 1 else []
    if len(panel.symbols) > config.max_symbols_alone:
        return pooled
    return pooled + [(SYMBOL_SPECIFIC, symbol) for symbol in sorted(panel.symbols)]


@dataclass(slots=True)
class _Group:
    """Targets that share horizon and features."""

    panel: Panel
    features: tuple[str, ...]
    horizon: int
    until: int
    config: RankingConfig
    seed: int
    axis: TimeAxis

    def measure(
        self, columns: Sequence[Column], view: str, symbol: str | None, pooled: Mapping[str, npt.NDArray[Any]]
    ) -> Iterator[tuple[Skill, npt.NDArray[Any] | None]]:
        """Yield each target's cell in one view, with its out-of-sample prediction over all panel rows."""
        rows = _rows_before(self.panel, symbol, self.until)
        try:
            folds = self._folds(rows)
            refusal = "" if self.features else "no feature is left: all of them know the future"
        except TooShort:
            folds, refusal = (
                (),
                f"too short for walk-forward folds: {len(rows)} rows before the final segment",
            )
        shared: dict[tuple[int, bytes], FoldRows] = {}
        for column in columns:
            label, coverage = _label(self.panel, column, rows, self.until)
            blank = Skill(
                target=column.name,
                view=view,
                symbol=symbol,
                features=self.features,
                horizon_bars=self.horizon,
                rows=int(np.isfinite(label[rows]).sum()),
                coverage=rounded(coverage),
                reason=refusal or _unusable(label[rows]),
            )
            if blank.reason:
                yield blank, None
                continue
            yield self._measure_one(column, label, folds, shared, blank, pooled.get(column.name))

    def _folds(self, rows: Ints) -> tuple[Fold, ...]:
        return walk_forward(
            self.panel,
            horizon_bars=self.horizon,
            rows=rows,
            folds=self.config.folds,
            embargo_bars=self.config.embargo_bars,
            until=self.until,
        )

    def _measure_one(
        self,
        column: Column,
        label: Floats,
        folds: Sequence[Fold],
        shared: dict[tuple[int, bytes], FoldRows],
        blank: Skill,
        pooled: npt.NDArray[Any] | None,
    ) -> tuple[Skill, npt.NDArray[Any] | None]:
        classes = len(column.classes)
        width = (self.panel.rows, classes) if column.task == "multiclass" else (self.panel.rows,)
        prediction = np.full(width, np.nan)
        views: list[FoldView] = []
        tested: list[Ints] = []
        last: FoldRows | None = None
        for number, fold in enumerate(folds):
            train = fold.train[np.isfinite(label[fold.train])]
            test = fold.test[np.isfinite(label[fold.test])]
            if len(train) < FEWEST_TRAIN_ROWS or len(test) < FEWEST_TEST_ROWS or np.ptp(label[train]) == 0.0:
                continue
            last = _shared_rows(shared, number, train, fold.test, self.panel, self.features)
            fit = fit_fold(
                last,
                label[train],
                task=column.task or "regression",
                classes=classes,
                config=self.config,
                seed=self.seed,
            )
            prediction[fold.test] = fit.prediction
            tested.append(test)
            views.append(self._fold_view(column, label, prediction, test, train, fit, blank.view))
        if len(views) < min(2, self.config.folds) or last is None:
            short = f"only {len(views)} folds have {FEWEST_TRAIN_ROWS} training rows"
            return replace(blank, reason=short), None
        everything = np.concatenate(tested)
        facts = self._scored(column, label, prediction, everything, blank, pooled)
        twins = _twins(last.gram, self.features)
        return replace(blank, folds=tuple(views), twins=twins, **facts), prediction

    def _fold_view(
        self,
        column: Column,
        label: Floats,
        prediction: npt.NDArray[Any],
        test: Ints,
        train: Ints,
        fit: FoldFit,
        view: str,
    ) -> FoldView:
        own = self._score(column, label, prediction, test, view)
        return FoldView(
            score=rounded(own.value),
            train_rows=len(train),
            train_timestamps=len(np.unique(self.panel.time_codes[train])),
            correlation=tuple(rounded(value) for value in fit.correlation),
            ridge=tuple(rounded(value) for value in fit.ridge),
            gain=tuple(rounded(value) for value in fit.gain),
        )

    def _score(
        self, column: Column, label: Floats, prediction: npt.NDArray[Any], rows: Ints, view: str
    ) -> Score:
        return score(
            prediction[rows],
            label[rows],
            self.panel.time_codes[rows],
            self.panel.symbol_codes[rows],
            task=column.task or "regression",
            view=view,
            horizon_bars=self.horizon,
        )

    def _scored(
        self,
        column: Column,
        label: Floats,
        prediction: npt.NDArray[Any],
        rows: Ints,
        blank: Skill,
        pooled: npt.NDArray[Any] | None,
    ) -> dict[str, Any]:
        own = self._score(column, label, prediction, rows, blank.view)
        test: ShiftTest = shift_test(
            prediction[rows],
            label[rows],
            self.panel.time_codes[rows],
            self.panel.symbol_codes[rows],
            self.axis,
            metric=own.metric,
            horizon_bars=self.horizon,
            min_shifts=self.config.min_shifts,
        )
        naive = None
        if column.task != "multiclass":
            known = persistence(self.panel, column.name, self.horizon).astype(np.float64)
            naive = rounded(self._score(column, label, known, rows, blank.view).value)
        alone = blank.view == SYMBOL_SPECIFIC and pooled is not None
        return {
            "scored_rows": len(rows),
            "metric": own.metric,
            "score": rounded(own.value),
            "standard_error": rounded(own.standard_error),
            "low": rounded(own.low),
            "high": rounded(own.high),
            "effective_rows": rounded(own.n_effective),
            "z": None if test.z is None else rounded(test.z),
            "p_value": None if test.p_value is None else rounded(test.p_value),
            "shifts": test.shifts,
            "persistence": naive,
            "pooled": rounded(self._score(column, label, pooled, rows, blank.view).value)
            if alone and pooled is not None
            else None,
        }


def no_skill_of(cell: Skill) -> float:
    """Return the score of a prediction without information in the cell's metric."""
    return no_skill(cell.metric or "")


def _rows_before(panel: Panel, symbol: str | None, until: int) -> Ints:
    own = slice(0, panel.rows) if symbol is None else panel.rows_of(symbol)
    rows = np.arange(own.start, own.stop, dtype=np.int64)
    return rows[panel.time_codes[own] < until]


def _label(panel: Panel, column: Column, rows: Ints, until: int) -> tuple[Floats, float]:
    """The target's values, classes as places 0..K-1, and the share of `rows` that have one.

    Labels whose window reaches `until` are missing: the final segment must not show through them.
    """
    values = panel.values(column.name).astype(np.float64)
    values[panel.label_end_codes(column.horizon_bars or 1) >= until] = np.nan
    share = float(np.isfinite(values[rows]).mean()) if len(rows) else 0.0
    if not column.classes:
        return values, share
    places = np.searchsorted(np.asarray(column.classes), values).astype(np.float64)
    return np.where(np.isfinite(values), places, np.nan), share


def _unusable(label: Floats) -> str | None:
    present = label[np.isfinite(label)]
    if len(present) < FEWEST_TRAIN_ROWS:
        return f"only {len(present)} labels before the final segment"
    return "one single value before the final segment" if np.ptp(present) == 0.0 else None


def _shared_rows(
    shared: dict[tuple[int, bytes], FoldRows],
    number: int,
    train: Ints,
    test: Ints,
    panel: Panel,
    features: Sequence[str],
) -> FoldRows:
    key = (number, train.tobytes())
    if key not in shared:
        shared[key] = FoldRows(train=panel.matrix(features, train), test=panel.matrix(features, test))
    return shared[key]


def _twins(gram: Floats, features: Sequence[str]) -> tuple[tuple[str, str, float], ...]:
    """Pairs of features whose standardised training rows correlate by more than 0.9."""
    scale = np.sqrt(np.diag(gram))
    alike = np.divide(gram, np.outer(scale, scale), out=np.zeros_like(gram), where=np.outer(scale, scale) > 0)
    first, second = np.nonzero(np.triu(np.abs(alike) > TWIN_LINE, k=1))
    return tuple(
        (features[int(one)], features[int(two)], rounded(alike[one, two]))
        for one, two in zip(first, second, strict=True)
    )
