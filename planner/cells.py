"""A cell: one target in one view, its labels on the time axis, and what its folds leave behind."""

from dataclasses import InitVar, dataclass, field

import numpy as np
import numpy.typing as npt

from panel.aligned import Column
from panel.metrics import symbols_needed
from panel.ranks import cross_scores, rank_rows
from planner.finding import Law
from planner.judging import Judge
from planner.rounding import rounded
from planner.scores import CROSS, Axis

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

FEWEST_TRAIN_ROWS = 100

_NEVER = np.iinfo(np.int32).max
_LINEAR_WEIGHT = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldFacts:
    """What one fold gave, apart from its predictions; vectors are ordered as the cell's features."""

    test_from: int
    test_until: int
    train_rows: int
    train_timestamps: int
    correlation: Floats
    ridge: Floats
    gain: Floats
    permutation: Floats
    information: Floats
    order: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Cell:
    """One (target, view, symbol) under way; arrays are (symbols of the view, outputs, timestamps)."""

    axis: InitVar[Axis]
    column: Column
    view: str
    symbol: str | None
    symbols: tuple[int, ...]
    kind: str
    raw: Float32s  # labels, NaN where unknown before the final segment; indicators for classes
    features: tuple[str, ...]
    usable: Places
    law: Law | None
    inflation: Floats  # (features,) of the null's variance
    confirmed: bool  # the screens found something: the full set of models is fitted
    ends: npt.NDArray[np.int64] = field(
        init=False
    )  # (symbols, timestamps) time code where a label is complete
    rows: int = field(init=False)
    coverage: float = field(init=False)
    reason: str | None = field(init=False)  # why it cannot be measured
    judge: Judge = field(init=False)
    linear: Float32s = field(init=False)
    boosted: Float32s = field(init=False)
    path: dict[int, Float32s] = field(init=False, default_factory=dict)
    tested: Mask = field(init=False)
    folds: list[FoldFacts] = field(init=False, default_factory=list)
    alike: Floats = field(init=False)  # correlations of the features in the last training fold
    _ranked: Float32s = field(init=False)

    def __post_init__(self, axis: Axis) -> None:
        known = np.asarray(np.isfinite(self.raw).all(axis=1))
        codes = axis.panel.label_end_codes(self.horizon_bars).astype(np.float64)
        ends = axis.on_grid(codes)[list(self.symbols)]
        self.ends = np.where(np.isfinite(ends), ends, _NEVER).astype(np.int64)
        self.rows = int(known.sum())
        self.coverage = rounded(self.rows / max(1, sum(len(axis.rows[one]) for one in self.symbols)))
        self.reason = _refusal(self.raw, known, self.usable)
        self.judge = Judge(self.kind, self.task, self.view, self.horizon_bars, self.raw)
        self.linear = np.full(self.raw.shape, np.nan, dtype=np.float32)
        self.boosted = np.full(self.raw.shape, np.nan, dtype=np.float32)
        self.tested = np.zeros((len(self.raw), self.raw.shape[-1]), dtype=bool)
        self.alike = np.zeros((0, 0))
        self._ranked = self.raw
        if self.kind == CROSS:
            self._ranked = cross_scores(self.raw, symbols_needed(len(self.raw)))

    @property
    def task(self) -> str:
        """The kind of target."""
        return self.column.task or "regression"

    @property
    def horizon_bars(self) -> int:
        """Bars a label looks ahead."""
        return self.column.horizon_bars or 1

    @property
    def prediction(self) -> Float32s:
        """The prediction that is judged: both learners, the linear one twice, or the one there is.

        Each is in standard deviations of what it says of its fold's training bars, around what it says there
        on the whole: base rates that differ from fold to fold are no prediction. Boosting fits more of the
        noise.
        """
        both = (_LINEAR_WEIGHT * self.linear + self.boosted) / (_LINEAR_WEIGHT + 1.0)
        return np.where(np.isfinite(self.boosted), both, self.linear)

    def train_labels(self, test_from: int, embargo: int) -> tuple[Float32s, Float32s, Mask]:
        """What to learn from before `test_from`: labels around 0 with 0 elsewhere, plain ones, and where.

        Arrays are (symbols, outputs, test_from), the mask without outputs. A label is used when its window
        and the embargo end before `test_from`.
        """
        there = np.asarray(np.isfinite(self.raw[..., :test_from]).all(axis=1))
        known = there & (self.ends[:, :test_from] + embargo < test_from)
        plain = np.where(known[:, None, :], self._ranked[..., :test_from], np.float32(np.nan))
        if self.kind == CROSS:
            self._rank_among_known(plain, known, there)
        elif self.task == "regression":
            plain = np.stack([rank_rows(own) for own in plain])
            return np.where(known[:, None, :], plain, np.float32(0.0)), plain, known
        count = max(1, int(known.sum()))
        mean = np.asarray(np.nansum(plain, axis=(0, 2), dtype=np.float64) / count, dtype=np.float32)
        centred = plain - mean[None, :, None]
        return np.where(known[:, None, :], centred, np.float32(0.0)), plain, known

    def _rank_among_known(self, plain: Float32s, known: Mask, there: Mask) -> None:
        """Rank anew where only some symbols' labels end in time: the others' say what comes later."""
        mixed = np.flatnonzero((there & ~known).any(axis=0) & known.any(axis=0))
        own = np.where(known[:, None, mixed], self.raw[..., mixed], np.float32(np.nan))
        ranked = cross_scores(own, symbols_needed(len(self.raw)))
        plain[..., mixed] = np.where(known[:, None, mixed], ranked, np.float32(np.nan))


def _refusal(raw: Float32s, known: Mask, usable: Places) -> str | None:
    if not len(usable):
        return "no feature is left: all of them know the future"
    rows = int(known.sum())
    if rows < FEWEST_TRAIN_ROWS:
        return f"only {rows} labels before the final segment"
    labels = raw[:, 0][known]
    if raw.shape[1] == 1 and labels.min() == labels.max():
        return "one single value before the final segment"
    return None
