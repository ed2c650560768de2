"""What every test of skill rests on: the axis of time with its sessions, and q-values for many tests.

A pattern of the day is no skill: intraday, time is counted in sessions and slots within them, so that scores
can be freed of it. Many targets, views and symbols are tested at once: false discoveries are paid for over
targets first, within a target second.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from panel.aligned import Panel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_DAY_NS = 86_400 * 10**9
_GAP_NS = 2 * 3_600 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAxis:
    """Where each time code lies: session by session, each `step` slots long; one slot from daily bars on."""

    places: Ints  # (timestamps,)
    step: int


def time_axis(panel: Panel) -> TimeAxis:
    """Return the axis of a panel: bar by bar from daily bars on, else session by session with its slots.

    Sessions lie between gaps of two hours and more, and a bar's slot is its place in its session (so the
    change of summer time moves nothing). Where most days have no such gap, a day is a session and the clock
    its slot.
    """
    stamps = panel.timestamps
    if panel.interval_ns >= _DAY_NS:
        return TimeAxis(places=np.arange(len(stamps), dtype=np.int64), step=1)
    days = stamps // _DAY_NS
    after_gap = np.diff(stamps) > max(_GAP_NS, panel.interval_ns * 3 // 2)
    session = np.concatenate(([0], np.cumsum(after_gap)))
    if session[-1] + 1 >= len(np.unique(days)) / 2.0:
        starts = np.flatnonzero(np.concatenate(([True], after_gap)))
        slot = np.arange(len(stamps)) - starts[session]
    else:
        session = days - days[0]
        slot = (stamps - days * _DAY_NS) // panel.interval_ns
    slots = int(slot.max()) + 1
    return TimeAxis(places=session.astype(np.int64) * slots + slot, step=slots)


def benjamini_hochberg(p_values: npt.ArrayLike) -> Floats:
    """Return q-values: the smallest false discovery rate at which each test is kept; NaN stays NaN.

    Benjamini and Hochberg (1995), step-up; valid under positive dependence (Benjamini and Yekutieli 2001).
    """
    p = np.asarray(p_values, dtype=np.float64)
    q = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return q


def hierarchical_q_values(families: Sequence[npt.ArrayLike], rate: float) -> list[Floats]:
    """Return the q-values of the tests of each family, families first, tests within a kept family second.

    A family (a target with its views) is tested by Simes (1986), the families by Benjamini and Hochberg. The
    tests of a family are adjusted within it and scaled by families over kept families, which controls the
    average false discovery rate over the families looked into (Benjamini and Bogomolov 2014). So one lucky
    symbol of a target of pure noise is not carried through by the true discoveries elsewhere.

    `rate` is the false discovery rate at which families are kept. NaN p-values stay NaN.
    """
    simes = [_simes(np.asarray(p_values, dtype=np.float64)) for p_values in families]
    of_families = benjamini_hochberg(simes)
    kept = max(1, int(np.sum(of_families <= rate)))
    tested = int(np.sum(np.isfinite(of_families)))
    return [
        np.minimum(1.0, np.maximum(of_family, benjamini_hochberg(p_values) * tested / kept))
        for p_values, of_family in zip(families, of_families, strict=True)
    ]


def _simes(p_values: Floats) -> float:
    """Return the p-value of "nothing in this family", NaN without a test."""
    p = np.sort(p_values[np.isfinite(p_values)])
    return float(np.min(p * len(p) / np.arange(1, len(p) + 1))) if len(p) else float("nan")
