"""Labels in disguise: features that are a target's own label, moved by less than its horizon.

At shift s a label over h bars is known s bars after its own row, so for s >= h it is a legal lag; for less, h
- s bars of what it sums are still to come.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from panel.aligned import Panel
from panel.ranks import rank_rows
from planner.windows import Layout

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_NEAR = 0.8  # on the coarse grid of shifts; the next one lies h / 16 bars off at most
_FEWEST_OVERLAP = 30


def overlaps_of(
    panel: Panel,
    label: Float32s,
    features: Sequence[str],
    near: Floats,
    rows: Sequence[Ints],
    layout: Layout,
) -> dict[str, Floats]:
    """Return `overlap` and `overlap_bars`, (features,) each: the match at the best shift 0 < s < h, and s.

    Only features whose match on the coarse grid, `near`, is high are looked at. Where a legal shift, up to
    two horizons, matches as well, both are 0.
    """
    overlap, bars = np.zeros(len(features)), np.zeros(len(features))
    wanted = np.flatnonzero(near >= _NEAR) if layout.shifts else np.empty(0, dtype=np.int64)
    if len(wanted):
        names = [features[place] for place in wanted.tolist()]
        found = _by_shift(panel, label, names, rows, 2 * layout.horizon)
        best = found.argmax(axis=1)
        late = found[:, layout.horizon :].max(axis=1)
        for place, shift, match, legal in zip(wanted, best, found.max(axis=1), late, strict=True):
            if 0 < shift < layout.horizon and match - legal > 0.25 / layout.horizon:
                overlap[place], bars[place] = match, shift
    return {"overlap": overlap, "overlap_bars": bars}


def _by_shift(panel: Panel, label: Float32s, names: Sequence[str], rows: Sequence[Ints], last: int) -> Floats:
    """Rank correlation of each feature with the label of `shift` rows before, (features, last + 1)."""
    products, counts = np.zeros((len(names), last + 1)), np.zeros((len(names), last + 1))
    for own in rows:
        if len(own) <= last + _FEWEST_OVERLAP:
            continue
        raw = np.stack([panel.values(name)[own] for name in names])
        scores, known = rank_rows(raw), np.isfinite(raw).astype(np.float32)
        ranked, there = rank_rows(label[own][None, :])[0], np.isfinite(label[own]).astype(np.float32)
        for shift in range(last + 1):
            stop = len(own) - shift
            products[:, shift] += scores[:, shift:] @ ranked[:stop]
            counts[:, shift] += known[:, shift:] @ there[:stop]
    enough = counts >= _FEWEST_OVERLAP
    found = np.abs(np.divide(products, counts, out=np.zeros(products.shape), where=enough))
    return np.minimum(found, 1.0)
