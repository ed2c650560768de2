"""How good predictions on the time axis are: one judge for a target in one view.

The mean rank IC of regression targets over all symbols is taken on the whole grid at once; everything else
goes through panel.metrics row by row.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from panel.metrics import (
    CROSS_SECTIONAL,
    Score,
    rank_ic_score,
    score,
    score_difference,
    symbols_needed,
)
from panel.ranks import cross_scores, mean_error
from planner.scores import CROSS

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Judge:
    """Scores predictions (symbols, outputs, timestamps) of one target against its labels."""

    kind: str  # CROSS or TIME
    task: str
    view: str
    horizon_bars: int
    labels: Float32s  # (symbols, outputs, timestamps) raw; indicators of the classes for multiclass
    _ranked: Float32s = field(init=False)

    def __post_init__(self) -> None:
        self._ranked = np.empty((0, 0), dtype=np.float32)
        if self.kind == CROSS:
            self._ranked = cross_scores(self.labels[:, 0], 1)  # how many there must be, says the mask

    @property
    def by_moment(self) -> bool:
        """Whether the score is a mean over timestamps of a rank correlation across symbols."""
        return self.kind == CROSS and self.view == CROSS_SECTIONAL

    def score(self, prediction: Float32s, mask: Mask) -> Score:
        """Score `prediction` on the places of `mask` (symbols, timestamps)."""
        if self.by_moment:
            return rank_ic_score(self.series(prediction, mask), horizon_bars=self.horizon_bars)
        symbols, times = np.nonzero(mask)
        return score(
            self._rows(prediction, symbols, times),
            self._truth(symbols, times),
            times,
            symbols,
            task=self.task,
            view=self.view,
            horizon_bars=self.horizon_bars,
        )

    def ahead(self, prediction: Float32s, other: Float32s, mask: Mask) -> tuple[float, float]:
        """How much better `prediction` scores than `other` on the same places, and the error of that."""
        if self.by_moment:
            both = mask & np.isfinite(prediction[:, 0]) & np.isfinite(other[:, 0])
            gap = self.series(prediction, both) - self.series(other, both)
            if len(gap) < 2:
                return 0.0, 1.0
            return float(gap.mean()), mean_error(gap, self.horizon_bars)[0]
        symbols, times = np.nonzero(mask)
        found = score_difference(
            self._rows(prediction, symbols, times),
            self._rows(other, symbols, times),
            self._truth(symbols, times),
            times,
            symbols,
            task=self.task,
            view=self.view,
            horizon_bars=self.horizon_bars,
        )
        return found.value, found.standard_error

    def series(self, prediction: Float32s, mask: Mask) -> Floats:
        """Rank IC of each timestamp of `mask` that has enough symbols, in order of time."""
        shown = np.where(mask & np.isfinite(self.labels[:, 0]), prediction[:, 0], np.float32(np.nan))
        known = np.where(np.isfinite(shown), self.labels[:, 0], np.float32(np.nan))
        fewest = symbols_needed(int(np.isfinite(shown).any(axis=1).sum()))
        ranked = self._ranked
        if not np.array_equal(np.isfinite(shown), np.isfinite(self.labels[:, 0]) & mask.any(axis=0)):
            ranked = cross_scores(known, fewest)
        counts = np.isfinite(shown).sum(axis=0)
        products = np.einsum("st,st->t", cross_scores(shown, fewest), ranked, dtype=np.float64)
        varied = np.einsum("st->t", np.abs(ranked)) > 0
        usable = (counts >= fewest) & varied & mask.any(axis=0)
        return np.asarray(products[usable] / counts[usable])

    def _rows(
        self, prediction: Float32s, symbols: npt.NDArray[np.intp], times: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.floating]:
        rows = prediction[symbols, :, times]  # (rows, outputs)
        return rows if self.task == "multiclass" else rows[:, 0]

    def _truth(self, symbols: npt.NDArray[np.intp], times: npt.NDArray[np.intp]) -> npt.NDArray[np.floating]:
        rows = self.labels[symbols, :, times]
        if self.task != "multiclass":
            return rows[:, 0]
        known = np.isfinite(rows).all(axis=1)
        return np.where(known, np.nan_to_num(rows).argmax(axis=1).astype(np.float64), np.nan)
