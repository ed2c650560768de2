"""The rows of one fit: which features, which rows to train, validate and judge on, and refusals in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from executors.contract import FitSpec
from executors.errors import BadInput
from executors.preprocessing import LabelCode
from executors.windows import with_full_window
from panel.aligned import FEATURE, TARGET, Column, Panel, open_panel
from panel.errors import TooShort
from panel.folds import holdout

FEWEST_TRAINING_ROWS = 50
FEWEST_OTHER_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FitData:
    """What one fit learns from and is judged on.

    `train`, `valid` and `test` are row indices into the panel, ascending, purged between each two, all with
    a finite label. `code` is fitted on the training rows alone.
    """

    panel: Panel
    target: Column
    horizon_bars: int
    features: tuple[str, ...]
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]
    code: LabelCode

    def features_at(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return the features of `rows`, (rows, features) float32, NaN for everything not finite."""
        return feature_matrix(self.panel, self.features, rows)

    def labels_at(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the labels of `rows` as the data has them, (rows,) float32."""
        return self.panel.values(self.target.name)[rows]

    def encoded_at(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the labels of `rows` as a model learns them, (rows,) float32."""
        return self.code.encoded(self.labels_at(rows))


def feature_matrix(
    panel: Panel, features: tuple[str, ...], rows: NDArray[np.int64] | slice
) -> NDArray[np.float32]:
    """Return the named columns at `rows`, (rows, features) float32; infinities become NaN.

    Raises:
        UnknownColumn: the panel lacks one of them.
    """
    values = panel.matrix(features, rows)
    values[~np.isfinite(values)] = np.nan
    return values


def fit_data(spec: FitSpec, *, window: int = 1) -> FitData:
    """Open the panel of `spec` and choose its rows; with `window` > 1 only rows that have a full window.

    Raises:
        BadInput: one sentence naming the target, column or rows that make the fit impossible.
        PanelError: the panel is damaged or lacks a symbol or column.
    """
    panel = open_panel(spec.panel_path)
    if panel.key != spec.panel_key:
        problem = f"its key is {panel.key}, the plan was made from {spec.panel_key}"
        raise BadInput(f"panel {spec.panel_path}", problem, "plan again with this data")
    target, horizon_bars = _target(panel, spec.target)
    features = _features(panel, spec)
    own = slice(0, panel.rows) if spec.symbol is None else panel.rows_of(spec.symbol)
    try:
        split = holdout(
            panel,
            horizon_bars=horizon_bars,
            rows=np.arange(own.start, own.stop, dtype=np.int64),
            test_share=spec.test_share,
            valid_share=spec.valid_share,
            embargo_bars=spec.embargo_bars,
        )
    except TooShort as error:
        raise BadInput(_subject(spec), str(error).rstrip("."), "nothing was trained") from error
    labels = panel.values(target.name)
    kept = {
        part: _usable(panel, rows, labels, window=window)
        for part, rows in (("training", split.train), ("validation", split.valid), ("test", split.test))
    }
    _check_counts(spec, kept, window)
    _check_labels(spec, target, labels[kept["training"]])
    return FitData(
        panel=panel,
        target=target,
        horizon_bars=horizon_bars,
        features=features,
        train=kept["training"],
        valid=kept["validation"],
        test=kept["test"],
        code=LabelCode.fitted(target.task or "regression", target.classes, labels[kept["training"]]),
    )


def _subject(spec: FitSpec) -> str:
    of_symbol = "" if spec.symbol is None else f" of {spec.symbol}"
    return f"target {spec.target}{of_symbol}"


def _target(panel: Panel, name: str) -> tuple[Column, int]:
    """Return the target's column and horizon in bars, or refuse."""
    column = panel.column(name)
    if column.role != TARGET:
        why = column.reason or f"it is a {column.role} column"
        raise BadInput(f"target {name}", f"cannot be learnt: {why}", "choose one of the panel's targets")
    if column.horizon_bars is None:
        fix = f"set [data.horizons] {name} = number of bars"
        raise BadInput(f"target {name}", "how many bars ahead it looks is unknown", fix)
    return column, column.horizon_bars


def _features(panel: Panel, spec: FitSpec) -> tuple[str, ...]:
    """Return the features in their order, without the blocked ones, or refuse."""
    blocked = {*spec.blocked_features, spec.target}
    chosen = tuple(name for name in spec.features or panel.feature_names if name not in blocked)
    for name in chosen:
        column = panel.column(name)
        if column.role != FEATURE:
            why = column.reason or "it is a target, known only afterwards"
            fix = "take it out of the job's features"
            raise BadInput(f"feature {name} of target {spec.target}", f"cannot be used: {why}", fix)
    if not chosen:
        problem = f"no feature is left ({len(blocked) - 1} blocked)"
        raise BadInput(f"target {spec.target}", problem, "unblock some or add features")
    return chosen


def _usable(
    panel: Panel, rows: NDArray[np.int64], labels: NDArray[np.float32], *, window: int
) -> NDArray[np.int64]:
    """Return those of `rows` with a finite label and, for sequences, a full window."""
    keep = np.isfinite(labels[rows])
    if window > 1:
        keep &= with_full_window(panel, rows, window)
    return rows[keep]


def _check_counts(spec: FitSpec, kept: dict[str, NDArray[np.int64]], window: int) -> None:
    """Refuse parts too small to mean anything."""
    for part, rows in kept.items():
        fewest = FEWEST_TRAINING_ROWS if part == "training" else FEWEST_OTHER_ROWS
        if len(rows) < fewest:
            needs = "a label" if window == 1 else f"a label and {window} bars without a gap"
            problem = f"only {len(rows)} {part} rows have {needs}, {fewest} are needed"
            raise BadInput(_subject(spec), problem, "give more history")


def _check_labels(spec: FitSpec, target: Column, training: NDArray[np.float32]) -> None:
    """Refuse labels that teach nothing."""
    values = np.unique(training)
    if len(values) < 2:
        problem = f"all {len(training)} training rows have the label {values[0]:g}"
        raise BadInput(_subject(spec), problem, "choose another target or more history")
    unknown = sorted(set(values.tolist()) - {float(np.float32(value)) for value in target.classes})
    if target.task != "regression" and unknown:
        problem = f"label {unknown[0]:g} is not among its classes {list(target.classes)}"
        raise BadInput(_subject(spec), problem, "prepare the panel again")
