"""Predicting again what a bundle has on record, to see that it still says the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from executors.bundle import Bundle
from executors.errors import ReplayFailed
from executors.predictions import Predictions
from panel.aligned import Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How the recorded test predictions compare with those made now.

    Attributes:
        rows: recorded ones that were predicted again.
        missing: recorded ones whose symbol and time the panel lacks.
        different: rows whose bits differ in any number, quantiles among them.
        largest: largest absolute difference; infinite where only one of both is a number.
    """

    rows: int
    missing: int
    different: int
    largest: float

    def check(self, bundle: Bundle, *, tolerance: float = 0.0) -> None:
        """Refuse a bundle that does not say what it said.

        Raises:
            ReplayFailed: rows are missing, or differ by more than `tolerance`.
        """
        if self.missing or not self.rows:
            count = self.missing + self.rows
            problem = f"{self.missing:,} of {count:,} recorded rows are not in this data"
            raise ReplayFailed(bundle.path, problem, "name the data the model was trained on")
        if self.different and self.largest > tolerance:
            problem = f"{self.different:,} of {self.rows:,} recorded predictions are now others"
            fix = "compare the versions in its card with those installed, or train the fit again"
            raise ReplayFailed(bundle.path, f"{problem}, by up to {self.largest:.3g}", fix)


def replay(bundle: Bundle, panel: Panel) -> Replay:
    """Predict the recorded rows that `panel` has again, and compare.

    Raises:
        UnknownColumn: the panel lacks a feature.
        BadInput: the family's library is not installed here.
    """
    recorded = bundle.predictions()
    rows = recorded_rows(panel, recorded)
    found = rows >= 0
    before = _side_by_side(recorded)[found]
    after = answers_of(bundle, panel, rows[found])
    same = _same_bits(before, after)
    return Replay(
        rows=int(found.sum()),
        missing=int((~found).sum()),
        different=int((~same).any(axis=1).sum()),
        largest=_largest(before, after),
    )


def answers_of(bundle: Bundle, panel: Panel, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return predictions and, after them, quantiles of the panel rows `rows`, (rows, numbers) float32."""
    answers = bundle.predict(panel, rows).reshape(len(rows), -1)
    quantiles = bundle.quantiles(panel, rows)
    return answers if quantiles is None else np.hstack([answers, quantiles.values])


def recorded_rows(panel: Panel, recorded: Predictions) -> NDArray[np.int64]:
    """Return the panel's row of each recorded prediction, (rows,) int64; -1 where it has none."""
    rows = np.full(len(recorded.time), -1, dtype=np.int64)
    names = np.array(recorded.symbol)
    for symbol in set(recorded.symbol) & set(panel.symbols):
        own, of_panel = names == symbol, panel.rows_of(symbol)
        times = panel.times[of_panel]
        place = np.searchsorted(times, recorded.time[own])
        there = place < len(times)
        there[there] = times[place[there]] == recorded.time[own][there]
        rows[own] = np.where(there, place + of_panel.start, -1)
    return rows


def _side_by_side(recorded: Predictions) -> NDArray[np.float32]:
    answers = recorded.answers.reshape(len(recorded.time), -1)
    return np.hstack([answers, recorded.quantiles])


def _same_bits(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.bool_]:
    equal = np.ascontiguousarray(before).view(np.uint32) == np.ascontiguousarray(after).view(np.uint32)
    return np.asarray(equal | (np.isnan(before) & np.isnan(after)))


def _largest(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    if (np.isnan(before) != np.isnan(after)).any():
        return float("inf")
    known = ~np.isnan(before)
    return float(np.abs(before[known].astype(np.float64) - after[known]).max(initial=0.0))
