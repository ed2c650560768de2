"""What fits have cost: seconds by family and size, from fits that succeeded at their first attempt."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from itertools import combinations

from store.database import Tx

FITS_MAX = 100  # of each family, the newest
_ROWS_MAX = 4000
SAMPLES_MAX = 10**12  # of a job: a plan made elsewhere may say any number
_SIZES_APART = 1.5  # the largest fit over the smallest, before a slope can be told from the start-up

_SQL = """
SELECT f.family, f.seconds, j.record
FROM fit AS f JOIN job AS j ON j.plan_id = f.plan_id AND j.job_id = f.job_id
WHERE f.state = 'succeeded' AND f.attempt = 1 AND f.seconds IS NOT NULL {of_families}
ORDER BY f.ended_at DESC, f.fit_id LIMIT ?
"""


def past_costs(tx: Tx, families: Collection[str] | None = None) -> dict[str, dict[str, float]]:
    """Return for each family with past fits: how many, seconds of the smallest, seconds per million cells.

    A cell is one feature of one row. Fits whose job does not say its rows and features are passed over.
    `families` are those that are asked about, None: all.
    """
    if families is not None and not families:
        return {}
    seen: dict[str, list[tuple[float, float]]] = {}
    named = "" if families is None else f"AND f.family IN ({', '.join('?' * len(families))})"
    rows = tx.query(_SQL.format(of_families=named), (*sorted(families or ()), _ROWS_MAX))
    for family, seconds, record in rows:
        cells = megacells(json.loads(record))
        fits = seen.setdefault(str(family), [])
        if cells and len(fits) < FITS_MAX:
            fits.append((cells, float(seconds)))
    return {family: _cost(fits) for family, fits in sorted(seen.items()) if fits}


def megacells(record: Mapping[str, object]) -> float | None:
    """Return the millions of rows x features of a job; None where its plan says none, or what cannot be."""
    rows, features = record.get("estimated_samples"), record.get("features")
    if type(rows) is not int or not 0 <= rows <= SAMPLES_MAX or not isinstance(features, list):
        return None
    return rows * len(features) / 1e6


def _cost(fits: Iterable[tuple[float, float]]) -> dict[str, float]:
    """The line seconds = start + slope x megacells, by medians of the pairs (Theil 1950, Sen 1968).

    Where all sizes are alike a slope cannot be told from a start: the median ratio stands for all of it.
    """
    known = sorted(fits)
    start, slope = 0.0, _median(seconds / cells for cells, seconds in known)
    if known[-1][0] > _SIZES_APART * known[0][0]:
        apart = [(one, two) for one, two in combinations(known, 2) if two[0] > _SIZES_APART * one[0]]
        slope = max(0.0, _median((two[1] - one[1]) / (two[0] - one[0]) for one, two in apart))
        start = max(0.0, _median(seconds - slope * cells for cells, seconds in known))
    return {
        "fits": len(known),
        "seconds_at_least": round(start, 3),
        "seconds_per_megacell": round(slope, 3),
    }


def _median(values: Iterable[float]) -> float:
    """The middle value, or the mean of the middle two; the library's own is too heavy for readers."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
