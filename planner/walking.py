"""The expensive half of ranking: out-of-sample predictions, and what each fold thinks of the features.

Predictions come from purged, embargoed walk-forward folds only, split by time, all before the final
segment. What is measured here depends on data and settings, not on thresholds: judging is done in ranking.
One fold's rows are read, standardised and binned once for all targets that can share them, then let go.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from panel.aligned import Column, Panel
from panel.errors import TooShort
from panel.folds import Fold, walk_forward
from panel.metrics import Score, persistence, score
from planner.config import RankingConfig
from planner.learners import FoldFit, FoldRows, fit_fold
from planner.rounding import rounded
from planner.shift_null import TimeAxis, shift_test, time_axis
from planner.skill import FoldView, Measured, Skill
from planner.tables import CROSS_SECTIONAL, SYMBOL_SPECIFIC

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Twins = tuple[tuple[str, str, float], ...]

FEWEST_TRAIN_ROWS = 100
FEWEST_TEST_ROWS = 20
FEWEST_FOLDS = 2
TWIN_LINE = 0.9


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
        pooled: dict[str, Array] = {}
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
class _Cell:
    """One (target, view, symbol) under way: its labels, and what the folds so far gave."""

    column: Column
    label: Floats  # (panel rows,), NaN where unknown before the final segment
    blank: Skill
    prediction: Array  # (panel rows,) or (panel rows, classes), NaN where not predicted
    views: list[FoldView] = field(default_factory=list)
    tested: list[Ints] = field(default_factory=list)
    twins: Twins = ()

    @property
    def task(self) -> str:
        """The kind of target."""
        return self.column.task or "regression"


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
        self, columns: Sequence[Column], view: str, symbol: str | None, pooled: Mapping[str, Array]
    ) -> Iterator[tuple[Skill, Array | None]]:
        """Yield each target's cell in one view, with its out-of-sample prediction over all panel rows."""
        rows = _rows_before(self.panel, symbol, self.until)
        refusal = "" if self.features else "no feature is left: all of them know the future"
        folds: tuple[Fold, ...] = ()
        try:
            folds = self._folds(rows)
        except TooShort:
            refusal = f"too short for folds: {len(rows)} rows before the final segment"
        cells = [self._opened(column, view, symbol, rows, refusal) for column in columns]
        for fold in folds:
            shared: dict[bytes, FoldRows] = {}
            for cell in cells:
                if not cell.blank.reason:
                    self._learn(cell, fold, shared)
        for cell in cells:
            yield self._closed(cell, pooled.get(cell.column.name))

    def _folds(self, rows: Ints) -> tuple[Fold, ...]:
        return walk_forward(
            self.panel,
            horizon_bars=self.horizon,
            rows=rows,
            folds=self.config.folds,
            embargo_bars=self.config.embargo_bars,
            until=self.until,
        )

    def _opened(self, column: Column, view: str, symbol: str | None, rows: Ints, refusal: str) -> _Cell:
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
        classes = (len(column.classes),) if column.task == "multiclass" else ()
        prediction = np.full((self.panel.rows, *classes), np.nan)
        return _Cell(column=column, label=label, blank=blank, prediction=prediction)

    def _learn(self, cell: _Cell, fold: Fold, shared: dict[bytes, FoldRows]) -> None:
        """Fit one fold, keep its predictions and its view of the features; small folds are skipped."""
        train = fold.train[np.isfinite(cell.label[fold.train])]
        test = fold.test[np.isfinite(cell.label[fold.test])]
        if len(train) < FEWEST_TRAIN_ROWS or len(test) < FEWEST_TEST_ROWS or np.ptp(cell.label[train]) == 0.0:
            return
        key = train.tobytes()
        if key not in shared:
            shared[key] = FoldRows(
                train=self.panel.matrix(self.features, train),
                test=self.panel.matrix(self.features, fold.test),
            )
        fit = fit_fold(
            shared[key],
            cell.label[train],
            task=cell.task,
            classes=len(cell.column.classes),
            config=self.config,
            seed=self.seed,
        )
        cell.prediction[fold.test] = fit.prediction
        cell.tested.append(test)
        cell.views.append(self._view(cell, fit, train, test))
        cell.twins = _twins(shared[key].gram, self.features)

    def _view(self, cell: _Cell, fit: FoldFit, train: Ints, test: Ints) -> FoldView:
        return FoldView(
            score=rounded(self._score(cell, cell.prediction, test).value),
            train_rows=len(train),
            train_timestamps=len(np.unique(self.panel.time_codes[train])),
            correlation=tuple(rounded(value) for value in fit.correlation),
            ridge=tuple(rounded(value) for value in fit.ridge),
            gain=tuple(rounded(value) for value in fit.gain),
        )

    def _closed(self, cell: _Cell, pooled: Array | None) -> tuple[Skill, Array | None]:
        if cell.blank.reason:
            return cell.blank, None
        if len(cell.views) < FEWEST_FOLDS:
            short = f"only {len(cell.views)} folds have {FEWEST_TRAIN_ROWS} training rows"
            return replace(cell.blank, reason=short), None
        facts = self._facts(cell, np.concatenate(cell.tested), pooled)
        return replace(cell.blank, folds=tuple(cell.views), twins=cell.twins, **facts), cell.prediction

    def _facts(self, cell: _Cell, rows: Ints, pooled: Array | None) -> dict[str, Any]:
        """Score, error, interval and test of all out-of-sample rows, and the two comparisons."""
        own = self._score(cell, cell.prediction, rows)
        test = shift_test(
            cell.prediction[rows],
            cell.label[rows],
            self.panel.time_codes[rows],
            self.panel.symbol_codes[rows],
            self.axis,
            metric=own.metric,
            horizon_bars=self.horizon,
            min_shifts=self.config.min_shifts,
        )
        naive = None
        if cell.task != "multiclass":
            known = persistence(self.panel, cell.column.name, self.horizon).astype(np.float64)
            naive = rounded(self._score(cell, known, rows).value)
        common = None
        if cell.blank.view == SYMBOL_SPECIFIC and pooled is not None:
            common = rounded(self._score(cell, pooled, rows).value)
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
            "pooled": common,
        }

    def _score(self, cell: _Cell, prediction: Array, rows: Ints) -> Score:
        return score(
            prediction[rows],
            cell.label[rows],
            self.panel.time_codes[rows],
            self.panel.symbol_codes[rows],
            task=cell.task,
            view=cell.blank.view,
            horizon_bars=self.horizon,
        )


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


def _twins(gram: Floats, features: Sequence[str]) -> Twins:
    """Pairs of features whose standardised training rows correlate by more than 0.9."""
    scale = np.sqrt(np.diag(gram))
    alike = np.divide(gram, np.outer(scale, scale), out=np.zeros_like(gram), where=np.outer(scale, scale) > 0)
    first, second = np.nonzero(np.triu(np.abs(alike) > TWIN_LINE, k=1))
    return tuple(
        (features[int(one)], features[int(two)], rounded(alike[one, two]))
        for one, two in zip(first, second, strict=True)
    )
