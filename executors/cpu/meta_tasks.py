"""The tasks a learner to learn practises on: the training rows of each symbol, and episodes cut from them.

An episode is what the finished model will have to do: from `shots` rows of a symbol that lie before, without
a gap but for the label's span, get ready for the `queries` rows after them. The stretch is drawn at random,
so one symbol alone still gives many tasks, blocks of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from executors.contract import FitSpec
from executors.dataset import FitData
from executors.errors import BadInput
from executors.parameters import Number
from executors.preprocessing import LabelCode, Standardisation
from executors.weights import row_weights

Array = NDArray[np.float64]

FEWEST_SHOTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Rows of some tasks side by side: (tasks, rows, features), and labels and weights (tasks, rows).

    A task's weights add up to 1; a row of weight 0 only fills a place.
    """

    features: Array
    labels: Array
    weights: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """All rows practised on, by symbol and time, already encoded.

    Attributes:
        symbols: (tasks,) code of each task's symbol.
        starts: (tasks + 1,) where each begins, and the end.
        features: (rows, features) float32, standardised.
        labels: (rows,) as the model learns them.
        weights: (rows,) mean 1.
        shots: rows a symbol is adapted to.
        queries: rows an adaptation is tried on.
        gap: rows left out between them, the label's span.
    """

    symbols: NDArray[np.int64]
    starts: NDArray[np.int64]
    features: NDArray[np.float32]
    labels: Array
    weights: Array
    shots: int
    queries: int
    gap: int

    @property
    def long_enough(self) -> NDArray[np.int64]:
        """The tasks an episode can be cut from."""
        return np.flatnonzero(np.diff(self.starts) >= self.shots + self.gap + self.queries)

    def episodes(self, count: int, seed: int) -> tuple[Samples, Samples]:
        """Draw `count` episodes: (what is adapted to, what it is tried on)."""
        random = np.random.default_rng(seed)
        drawn = random.choice(self.long_enough, size=count)
        spare = np.diff(self.starts)[drawn] - (self.shots + self.gap + self.queries)
        first = self.starts[drawn] + random.integers(0, spare + 1)
        after = first + self.shots + self.gap
        return (
            self._at(first[:, None] + np.arange(self.shots)),
            self._at(after[:, None] + np.arange(self.queries)),
        )

    def newest(self, tasks: NDArray[np.int64]) -> Samples:
        """Return the newest `shots` rows of each of `tasks`; a shorter one is filled up with weight 0."""
        places = self.starts[tasks + 1][:, None] - self.shots + np.arange(self.shots)
        is_own = places >= self.starts[tasks][:, None]
        return self._at(np.where(is_own, places, self.starts[tasks][:, None]), is_own)

    def _at(self, places: NDArray[np.int64], counted: NDArray[np.bool_] | None = None) -> Samples:
        weights = self.weights[places] if counted is None else self.weights[places] * counted
        return Samples(
            features=self.features[places].astype(np.float64),
            labels=self.labels[places],
            weights=weights / weights.sum(axis=1, keepdims=True),
        )


def practice_rows(spec: FitSpec, data: FitData) -> NDArray[np.int64]:
    """Return the rows practised on, ascending: the training rows, and for one symbol the others' as well.

    The others' labels end, embargo included, before the first row the fit is validated on.
    """
    if spec.symbol is None:
        return data.train
    panel = data.panel
    embargo = data.horizon_bars if spec.embargo_bars is None else spec.embargo_bars
    until = int(panel.time_codes[data.valid].min())
    ends = panel.label_end_codes(data.horizon_bars).astype(np.int64)
    others = np.isfinite(panel.values(data.target.name)) & (ends + embargo < until)
    own = panel.rows_of(spec.symbol)
    others[own] = False
    return np.union1d(np.flatnonzero(others), data.train)


def tasks_of(
    spec: FitSpec, data: FitData, params: Mapping[str, Number], standardisation: Standardisation
) -> Tasks:
    """Return the tasks of a fit; shots and queries shrink where no symbol has rows enough for them.

    Raises:
        BadInput: not even the longest symbol has rows for one small episode.
    """
    rows = practice_rows(spec, data)
    codes = data.panel.symbol_codes[rows].astype(np.int64)
    symbols, starts = np.unique(codes, return_index=True)
    starts = np.append(starts, len(rows)).astype(np.int64)
    room = int(np.diff(starts).max()) - data.horizon_bars
    shots = min(int(params["shots"]), room // 2)
    if shots < FEWEST_SHOTS:
        problem = f"no symbol has {2 * FEWEST_SHOTS + data.horizon_bars} training rows to learn to learn from"
        raise BadInput(f"target {spec.target}", problem, "give more history")
    return Tasks(
        symbols=symbols,
        starts=starts,
        features=standardisation.applied(data.features_at(rows)),
        labels=_labels(spec, data, rows, starts),
        weights=row_weights(replace(data, train=rows), params).astype(np.float64),
        shots=shots,
        queries=min(int(params["queries"]), room - shots),
        gap=data.horizon_bars,
    )


def _labels(spec: FitSpec, data: FitData, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> Array:
    """Return the labels as the model learns them; numbers of other symbols in units of their own spread.

    A fit of one symbol standardises by that symbol; the same is done for each of the others, so that a
    livelier one does not drown it.
    """
    found = data.encoded_at(rows).astype(np.float64)
    if spec.symbol is None or data.code.task != "regression":
        return found
    raw = data.labels_at(rows)
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        own = raw[begin:end]
        found[begin:end] = LabelCode.fitted("regression", (), own).encoded(own)
    return found
