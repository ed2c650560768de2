"""One walk-forward fold on the time axis: standardised features, cross products, and the columns of a model.

Features are standardised by what a symbol's training bars say (cut at their 1 % tails). Cross scores are
ranks of one moment and need no past. Sums of products are taken once for all targets of a fold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from planner.scores import CROSS, TIME, Axis
from planner.screens import Screened

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_TAIL = 0.01
_FEWEST_OWN_BARS = 100
_SAMPLE_ROWS = 20_000
_MOST_DEVIATIONS = 10.0


@dataclass(frozen=True, slots=True)
class Term:
    """A column of a model: a feature's score, or what is made of it.

    `kind` is rank (the score itself), folded, product (with `other`), lag (`bars` ago) or window (sum of the
    newest `bars`); places are those of Screened.features.
    """

    kind: str
    first: int
    other: int = -1
    bars: int = 0

    @property
    def features(self) -> tuple[int, ...]:
        """The features it is made of."""
        return (self.first,) if self.other < 0 or self.other == self.first else (self.first, self.other)


@dataclass(frozen=True, slots=True)
class Edges:
    """A fold's bounds as time codes: judged on [test_from, test_until), trained on what ended before."""

    test_from: int
    test_until: int


@dataclass(slots=True)
class FoldGrid:
    """The features of one fold, shared by all targets, views and learners."""

    axis: Axis
    screened: Screened
    edges: Edges
    time: Float32s = field(init=False)  # (symbols, features, test_until) standardised on training bars
    _grams: dict[str, Floats] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        raw = np.empty(
            (len(self.axis.rows), len(self.screened.features), self.edges.test_until), dtype=np.float32
        )
        stop = self.edges.test_until
        for place, name in enumerate(self.screened.features):
            values = self.axis.panel.values(name)
            for symbol, (rows, codes) in enumerate(zip(self.axis.rows, self.axis.codes, strict=True)):
                raw[symbol, place] = np.nan
                until = int(np.searchsorted(codes, stop))
                raw[symbol, place, codes[:until]] = values[rows[:until]]
        standardise(raw, self.edges.test_from)
        self.time = raw

    def matrix(self, kind: str, symbol: int) -> Float32s:
        """All features of one symbol in one kind of score, (features, test_until)."""
        if kind == TIME:
            return np.asarray(self.time[symbol])
        return self.part(kind, symbol, np.arange(len(self.screened.features)), slice(self.edges.test_until))

    def part(self, kind: str, symbol: int, places: npt.NDArray[np.intp], span: slice) -> Float32s:
        """Some features of one symbol in some bars before `test_until`, (places, bars)."""
        if kind == TIME:
            return np.asarray(self.time[symbol][places, span])
        return np.asarray(self.screened.scores[CROSS][symbol][places, span], dtype=np.float32)

    def gram(self, kind: str, symbols: tuple[int, ...]) -> Floats:
        """Sums of products of all features over the bars before the fold's test, (features, features)."""
        total = np.zeros((len(self.screened.features),) * 2)
        for symbol in symbols:
            name = f"{kind} {symbol}"
            if name not in self._grams:
                x = self.matrix(kind, symbol)[:, : self.edges.test_from]
                self._grams[name] = (x @ x.T).astype(np.float64)
            total += self._grams[name]
        return total

    def moments(self, kind: str, symbols: tuple[int, ...], labels: Sequence[Float32s]) -> list[Floats]:
        """Sums of products of features and each target's labels, (features, outputs).

        Labels are (symbols, outputs, test_from) around 0, 0 where they must not be used. Every target has a
        product of its own: its sums do not depend on which others are measured beside it.
        """
        found = [np.zeros((len(self.screened.features), one.shape[1])) for one in labels]
        for place, symbol in enumerate(symbols):
            x = self.matrix(kind, symbol)[:, : self.edges.test_from]
            for target, own in enumerate(labels):
                found[target] += x @ own[place].T
        return found

    def columns(self, terms: tuple[Term, ...], kind: str, symbols: tuple[int, ...]) -> Float32s:
        """The columns of a model, (symbols, terms, test_until)."""
        made = np.empty((len(symbols), len(terms), self.edges.test_until), dtype=np.float32)
        for place, term in enumerate(terms):
            for number, symbol in enumerate(symbols):
                made[number, place] = self._column(term, kind, symbol)
        return made

    def _column(self, term: Term, kind: str, symbol: int) -> Float32s:
        if term.kind == "folded":
            return self._centred(np.abs(self.time[symbol, term.first]))
        if term.kind == "product":
            return self._centred(self.time[symbol, term.first] * self.time[symbol, term.other])
        if term.kind == "level":
            return self._series(term.first, TIME, symbol)
        source = self._series(term.first, kind, symbol)
        if term.kind == "lag":
            return _later(source, term.bars)
        if term.kind == "window":
            sums = np.cumsum(source, dtype=np.float64)
            before = np.concatenate((np.zeros(term.bars), sums))[: len(sums)]
            return np.asarray((sums - before) / np.sqrt(term.bars), dtype=np.float32)
        return source

    def _series(self, feature: int, kind: str, symbol: int) -> Float32s:
        found = self.part(kind, symbol, np.array([feature]), slice(self.edges.test_until))
        return np.asarray(found[0])

    def _centred(self, values: Float32s) -> Float32s:
        """Take off the mean of the training bars that are there; missing bars stay 0."""
        present = values != 0.0
        known = values[: self.edges.test_from][present[: self.edges.test_from]]
        mean = np.float32(known.mean()) if len(known) else np.float32(0.0)
        return np.where(present, np.clip(values - mean, -_MOST_DEVIATIONS, _MOST_DEVIATIONS), np.float32(0.0))


def standardise(raw: Float32s, train_until: int) -> None:
    """Bring raw values to mean 0 and variance 1 of each symbol's bars before `train_until`, in place.

    `raw` (symbols, features, timestamps), NaN for missing, which becomes 0. Values are cut at the 1 % tails
    of the training bars. A feature with fewer than 100 of them in a symbol is measured by those of all.
    """
    few = np.isfinite(raw[..., :train_until]).sum(axis=-1) < _FEWEST_OWN_BARS  # (symbols, features)
    step = max(1, len(raw) * train_until // _SAMPLE_ROWS)
    lacking = few.any(axis=0)
    every = raw[:, lacking, :train_until:step].swapaxes(0, 1)
    shared = _measures(every.reshape(len(every), every.shape[1] * every.shape[2]))
    for symbol, poor in enumerate(few):
        own = raw[symbol]
        measures = _measures(own[:, :train_until])
        for mine, common in zip(measures, shared, strict=True):
            mine[poor] = common[poor[lacking]]
        low, high, mean, spread = measures
        np.clip(own, low[:, None], high[:, None], out=own)
        np.subtract(own, mean[:, None], out=own)
        np.divide(own, spread[:, None], out=own)
        np.clip(own, -_MOST_DEVIATIONS, _MOST_DEVIATIONS, out=own)
        np.nan_to_num(own, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _measures(values: Float32s) -> tuple[Float32s, Float32s, Float32s, Float32s]:
    """Cut points, mean and spread of each row, (rows,) each; a constant gets an infinite spread."""
    ordered = np.sort(values, axis=1)
    counts = np.isfinite(ordered).sum(axis=1)
    places, last = np.arange(len(ordered)), np.maximum(counts - 1, 0)
    low = np.where(counts, ordered[places, np.floor(_TAIL * last).astype(np.intp)], 0.0)
    high = np.where(counts, ordered[places, np.ceil((1.0 - _TAIL) * last).astype(np.intp)], 0.0)
    cut = np.clip(values, low[:, None], high[:, None])
    present = np.isfinite(cut)
    filled = np.where(present, cut, np.float32(0.0))
    size = np.maximum(counts, 1)
    mean = filled.sum(axis=1, dtype=np.float64) / size
    square = np.einsum("fr,fr->f", filled, filled, dtype=np.float64) / size
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    flat = spread <= 1e-6 * np.maximum(np.abs(mean), 1e-12)
    wide = np.where(flat, np.inf, spread)
    return (
        low.astype(np.float32),
        high.astype(np.float32),
        mean.astype(np.float32),
        wide.astype(np.float32),
    )


def _later(values: Float32s, bars: int) -> Float32s:
    moved = np.zeros_like(values)
    moved[bars:] = values[: len(values) - bars]
    return moved
