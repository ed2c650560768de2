"""The screen of products: does a target follow the product of two features, or the square of one?

The sums of x_i x_j y for all pairs are one weighted matrix product for each label. The largest are then
studentised by the circular-shift null of their own series and paid for as if every pair had been.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.scores import TIME
from planner.screens import Screened
from planner.spectra import (
    Spread,
    degrees_of,
    gaps_of,
    inverse,
    overlap_of,
    padded,
    power_of,
    spectrum,
    z_scores,
)

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]

_LOOKED_INTO = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A pair of features (places in Screened.features) and the z of their product's sum with the label."""

    first: int
    second: int
    z: float


def screen_products(screened: Screened, usable: npt.NDArray[np.bool_]) -> list[tuple[Product, ...]]:
    """Return, for each channel, the strongest products over all symbols, strongest first.

    `usable` (features, channels): which features a channel's target may be explained by.
    """
    wanted = [screened.labels[one.pooled][:, place] for place, one in enumerate(screened.channels)]
    labels = np.stack(wanted, axis=1)  # (symbols, channels, timestamps)
    sums = weighted_grams(screened.scores[TIME], labels)
    for place, allowed in enumerate(usable.T):
        sums[place][~allowed] = 0.0
        sums[place][:, ~allowed] = 0.0
    return [
        _studentised(screened, labels[:, place], sums[place], place)
        for place in range(len(screened.channels))
    ]


def weighted_grams(scores: Iterable[npt.NDArray[np.floating]], labels: Float32s) -> Floats:
    """Sums of x_i x_j y over symbols and time, (channels, features, features).

    `scores` gives each symbol's (features, timestamps) in turn; `labels` (symbols, channels, timestamps).
    """
    sums = np.zeros((labels.shape[1], 0, 0))
    for x, y in zip(scores, labels, strict=True):
        whole = x.astype(np.float32, copy=False)
        if not sums.size:
            sums = np.zeros((labels.shape[1], len(whole), len(whole)))
        for channel, label in enumerate(y):
            sums[channel] += (whole * label) @ whole.T
    return sums


def product_series(scores: npt.NDArray[np.floating], first: int, second: int) -> Float32s:
    """Product of two features' scores around each symbol's mean, (symbols, timestamps)."""
    made = scores[:, first].astype(np.float32) * scores[:, second].astype(np.float32)
    present = made != 0.0
    counts = np.maximum(present.sum(axis=-1, keepdims=True), 1).astype(np.float32)
    return np.where(present, made - made.sum(axis=-1, keepdims=True) / counts, np.float32(0.0))


def leading_pairs(sums: Floats, most: int) -> list[tuple[int, int]]:
    """The pairs (first <= second) with the largest sums; a square counts by its own, smaller, spread.

    A sum of exactly 0 is that of a pair that may not be used, or that never varies: it is no pair at all.
    """
    size = np.abs(sums) / np.where(np.eye(len(sums)) > 0, np.sqrt(0.8), 1.0)
    rows, columns = np.triu_indices(len(sums))
    order = np.argsort(-size[rows, columns], kind="stable")[:most]
    return [(int(rows[place]), int(columns[place])) for place in order if size[rows[place], columns[place]]]


def _studentised(screened: Screened, label: Float32s, sums: Floats, channel: int) -> tuple[Product, ...]:
    scores, length = screened.scores[TIME], padded(label.shape[-1])
    gaps = gaps_of([screened.channels[channel].horizon_bars], length)
    gap = int(gaps[0])
    pairs = leading_pairs(sums, _LOOKED_INTO)
    if not pairs:
        return ()
    series = np.stack([product_series(scores, *pair) for pair in pairs], axis=1)  # (symbols, pairs, times)
    transform = np.zeros((len(pairs), length // 2 + 1), dtype=np.complex64)
    for own, other in zip(series, label, strict=True):
        transform += spectrum(own).conj() * spectrum(other)
    far = inverse(transform, length)[:, gap + 1 : length - gap]
    spread = Spread(
        np.einsum("ps,ps->p", far, far, dtype=np.float64) / far.shape[-1], degrees_of(power_of(transform))
    )
    shared = overlap_of((scores != 0.0).any(axis=1), (label != 0.0)[:, None], gaps)
    fix = shared.correction(slice(None))[0]
    total = np.einsum("spt,st->p", series, label, dtype=np.float64)
    z = z_scores(total, Spread(spread.variance * fix, spread.degrees))
    order = np.argsort(-np.abs(z), kind="stable")
    return tuple(Product(first=pairs[place][0], second=pairs[place][1], z=float(z[place])) for place in order)
