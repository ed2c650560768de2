"""What each feature does for a model that cannot say it itself: the loss it costs to shuffle it.

Breiman (Machine Learning, 2001) for forests, Fisher, Rudin and Dominici (JMLR, 2019) for any model. Measured
on validation rows: training rows would praise what was learnt by heart, test rows are seen by nothing but the
judgement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.dataset import FitData
from executors.families import resolve
from executors.session import Session, Trained
from executors.trainers import Trainer
from panel.aligned import Float32s, Int64s, Panel

METHOD = "permutation"
ROWS_MAX = 2_000
ROWS_MIN = 50
REPEATS = 2
#: Row predictions in all, so that it costs less than the fit: rows and repeats give way to it.
PREDICTIONS_MAX = 30_000

_CERTAIN = 1e-7


def with_importances(session: Session, trainer: Trainer, trained: Trained) -> Trained:
    """Return `trained` with importances by permutation, unless the model gave its own.

    The importance of a feature is the mean increase of the loss (squared error in the label's spread, log
    loss of classes) when its column is shuffled within each symbol. It is about 0, also a little below, for
    a feature the model does not use.
    """
    if trained.importances or resolve(session.spec.family).stacks:
        return trained
    measured = permutation_importances(session, trainer, trained.files, trained.outline)
    return replace(trained, importances=measured, importance_method=METHOD)


def permutation_importances(
    session: Session, trainer: Trainer, files: Mapping[str, bytes], outline: Mapping[str, Any]
) -> dict[str, float]:
    """Return feature -> mean increase of the validation loss; the same for the same fit, always."""
    data = session.data
    repeats, rows = _sample(data)
    window = trainer.window_rows(session.params)
    spans = _spans(data, window)
    before = _losses(data, rows, trainer.predict(files, outline, data.panel, rows))
    found: dict[str, float] = {}
    for feature in data.features:
        rises = []
        for repeat in range(repeats):
            random = np.random.Generator(np.random.PCG64(session.seed(METHOD, feature, repeat)))
            shuffled = ShuffledPanel(data.panel, feature, spans, random)
            after = _losses(data, rows, trainer.predict(files, outline, shuffled, rows))
            both = np.isfinite(before) & np.isfinite(after)
            rises.append(float(np.mean((after - before)[both])) if both.any() else 0.0)
        found[feature] = float(np.mean(rises))
    return found


class ShuffledPanel(Panel):
    """A panel in which the values of one feature have changed places within spans of rows."""

    def __init__(
        self, panel: Panel, feature: str, spans: Sequence[slice], random: np.random.Generator
    ) -> None:
        self.__dict__.update(panel.__dict__)
        self._of = panel
        self._feature = feature
        self._shuffled = np.array(panel.values(feature))
        for span in spans:
            self._shuffled[span] = random.permutation(self._shuffled[span])

    def values(self, name: str) -> Float32s:
        """One column of all rows, as `Panel.values`."""
        return self._shuffled if name == self._feature else self._of.values(name)

    def matrix(self, names: Sequence[str], rows: Int64s | slice | None = None) -> Float32s:
        """The named columns at the asked rows, as `Panel.matrix`."""
        found = self._of.matrix(names, rows)
        wanted = slice(None) if rows is None else rows
        for place, name in enumerate(names):
            if name == self._feature:
                found[:, place] = self._shuffled[wanted]
        return found


def _sample(data: FitData) -> tuple[int, NDArray[np.int64]]:
    """Return (repeats, validation rows): fewer the more features there are."""
    features = max(1, len(data.features))
    repeats = REPEATS if features * REPEATS * ROWS_MIN * 4 <= PREDICTIONS_MAX else 1
    count = min(ROWS_MAX, max(ROWS_MIN, PREDICTIONS_MAX // (features * repeats)), len(data.valid))
    return repeats, data.valid[np.linspace(0, len(data.valid) - 1, count).astype(np.int64)]


def _spans(data: FitData, window: int) -> list[slice]:
    """Return for each symbol the rows that predictions of its validation rows look at."""
    codes = data.panel.symbol_codes[data.valid]
    spans = []
    for code in np.unique(codes):
        own, of_symbol = data.valid[codes == code], data.panel.rows_of(data.panel.symbols[code])
        spans.append(slice(max(of_symbol.start, int(own[0]) - window + 1), int(own[-1]) + 1))
    return spans


def _losses(data: FitData, rows: NDArray[np.int64], prediction: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the loss of each row, (rows,) float64; NaN where nothing was predicted."""
    labels = data.encoded_at(rows).astype(np.float64)
    if data.code.task == "regression":
        return (data.code.encoded(prediction).astype(np.float64) - labels) ** 2
    told = prediction.astype(np.float64)
    if data.code.task == "binary":
        of_truth = np.where(labels > 0.5, told, 1.0 - told)
    else:
        of_truth = told[np.arange(len(rows)), labels.astype(np.int64)]
    return np.asarray(-np.log(np.clip(of_truth, _CERTAIN, 1.0)))
