"""How much each training row counts: labels that overlap share their weight, rare classes may be raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from executors.dataset import FitData
from executors.parameters import Number, Parameter
from panel.aligned import Panel

#: Settings that every family has: weigh rows by how unique their label is; 0 takes classes as they come, 1
#: gives all classes the same weight in sum, values between go part of the way.
SHARED_PARAMETERS: Mapping[str, Parameter] = {
    "overlap_weights": Parameter(default=1, low=0, high=1),
    "class_balance": Parameter(default=0.0, low=0.0, high=1.0),
}


def weighted(data: FitData, params: Mapping[str, Number]) -> FitData:
    """Return `data` with the weights that its classes get in training, as the settings want them."""
    if data.code.task == "regression":
        return data
    weights = class_weights(data.encoded_at(data.train), len(data.code.classes), params["class_balance"])
    return replace(data, code=replace(data.code, class_weights=weights))


def row_weights(data: FitData, params: Mapping[str, Number]) -> NDArray[np.float32]:
    """Return the weight of each training row, (rows,) float32 with mean 1."""
    weights = np.ones(len(data.train))
    if params["overlap_weights"]:
        weights *= uniqueness(data.panel, data.train, data.horizon_bars)
    if data.code.class_weights:
        places = data.encoded_at(data.train).astype(np.int64)
        weights *= np.array(data.code.class_weights)[places]
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def uniqueness(panel: Panel, rows: NDArray[np.int64], horizon_bars: int) -> NDArray[np.float64]:
    """Return the mean uniqueness of the labels at `rows` (ascending), (rows,) in (0, 1].

    A label made of the bars after its row up to its end shares each bar with the other labels of its symbol
    that hold the bar too; its uniqueness is the mean over its bars of one over their number (López de
    Prado, Advances in Financial Machine Learning, 2018, chapter 4.4).
    """
    begins = panel.time_codes[rows].astype(np.int64) + 1
    ends = np.maximum(begins, panel.label_end_codes(horizon_bars)[rows].astype(np.int64)) + 1  # exclusive
    symbols = np.asarray(panel.symbol_codes[rows])
    found = np.empty(len(rows))
    edges = np.flatnonzero(np.diff(symbols)) + 1
    for first, last in zip((0, *edges), (*edges, len(rows)), strict=True):
        own = slice(int(first), int(last))
        found[own] = _uniqueness_of_one(begins[own], ends[own])
    return found


def class_weights(places: NDArray[np.float32], classes: int, balance: float) -> tuple[float, ...]:
    """Return the weight of each class, (n / (classes x n of the class)) ** balance; () for no balancing.

    A class that no row has gets weight 1.
    """
    if balance == 0.0:
        return ()
    counts = np.bincount(places.astype(np.int64), minlength=classes)
    even = len(places) / classes
    return tuple(float((even / count) ** balance) if count else 1.0 for count in counts)


def _uniqueness_of_one(begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Uniqueness among labels of one symbol that hold the bars [begin, end)."""
    if not len(begins):
        return np.empty(0)
    first = int(begins.min())
    changes = np.zeros(int(ends.max()) - first + 1)
    np.add.at(changes, begins - first, 1.0)
    np.add.at(changes, ends - first, -1.0)
    holders = np.cumsum(changes)[:-1]
    shares = np.concatenate([[0.0], np.cumsum(1.0 / np.maximum(holders, 1.0))])
    return np.asarray((shares[ends - first] - shares[begins - first]) / (ends - begins))
