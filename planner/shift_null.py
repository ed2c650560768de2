"""Could the skill be luck? Predictions are shifted in time against the labels, all symbols together.

A shift breaks the link between prediction and label and keeps everything else: the dependence in time of
both, overlapping windows, and the tie between symbols. The statistic is a sum of products of scores, so all
circular shifts at once are one cross-correlation by FFT. Intraday the shift goes by whole sessions, so
that the pattern of the day cannot pass for skill. The observed value is studentised by the shifts (mean and
standard deviation) and compared with the normal tail. What never changes in time (one symbol is always more
volatile than another) is part of the null, not of the skill.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from panel.aligned import Panel
from panel.metrics import symbols_needed
from panel.ranks import group_scores

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_DAY_NS = 86_400 * 10**9
_GAP_NS = 2 * 3_600 * 10**9
_FEWEST_ROWS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAxis:
    """Where each time code lies on an axis on which shifts by `step` keep the time of day."""

    places: Ints  # (timestamps,)
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftTest:
    """The observed skill in standard deviations of shifted skills; p is its one-sided normal tail."""

    z: float | None
    p_value: float | None
    shifts: int


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


def shift_test(
    prediction: npt.NDArray[Any],
    label: npt.NDArray[Any],
    time_codes: npt.NDArray[Any],
    symbol_codes: npt.NDArray[Any],
    axis: TimeAxis,
    *,
    metric: str,
    horizon_bars: int,
    min_shifts: int,
) -> ShiftTest:
    """Test predictions of the rows against their labels.

    All arrays are (rows,), `prediction` (rows, classes) for auc_ovr. Shifts closer than ten horizons (at
    least a twentieth, at most a quarter of the span) are no part of the null. With fewer than `min_shifts`
    shifts, or a prediction without variation, z and p are None.
    """
    predicted, labelled, keep = _score_columns(prediction, label, time_codes, symbol_codes, metric)
    if len(predicted) < _FEWEST_ROWS or not predicted.any() or not labelled.any():
        return ShiftTest(z=None, p_value=None, shifts=0)
    places = axis.places[time_codes[keep]]
    start = int(places.min()) // axis.step * axis.step
    span = -(-(int(places.max()) + 1 - start) // axis.step) * axis.step
    curve, overlap = _all_shifts(predicted, labelled, places - start, symbol_codes[keep], span)
    gap = min(max(10 * horizon_bars, span // 20), span // 4)
    shifts = np.arange(axis.step, span, axis.step)
    shifts = shifts[(shifts >= gap) & (shifts <= span - gap)]
    shifts = shifts[overlap[shifts] >= overlap[0] / 4.0]
    if len(shifts) < min_shifts:
        return ShiftTest(z=None, p_value=None, shifts=len(shifts))
    scaled = curve / np.sqrt(np.maximum(overlap, 1.0))
    null = scaled[shifts]
    spread = float(null.std())
    if spread <= 0.0:
        return ShiftTest(z=None, p_value=None, shifts=len(shifts))
    z = float((scaled[0] - null.mean()) / spread)
    return ShiftTest(z=z, p_value=0.5 * math.erfc(z / math.sqrt(2.0)), shifts=len(shifts))


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


def _score_columns(
    prediction: npt.NDArray[Any],
    label: npt.NDArray[Any],
    time_codes: npt.NDArray[Any],
    symbol_codes: npt.NDArray[Any],
    metric: str,
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Scores whose products sum to the metric up to scale, both (rows kept, channels), and the rows kept."""
    finite = np.isfinite(label) & np.isfinite(prediction.reshape(len(label), -1).sum(axis=1))
    if metric == "rank_ic":
        counts = np.bincount(time_codes[finite], minlength=int(time_codes.max(initial=0)) + 1)
        enough = counts >= symbols_needed(len(np.unique(symbol_codes[finite])))
        finite &= enough[time_codes]
        groups = time_codes[finite]
    elif metric.startswith("rank_corr"):
        groups = symbol_codes[finite]
    else:
        groups = np.zeros(int(finite.sum()), dtype=np.int64)
    if not finite.any():
        return np.empty((0, 1)), np.empty((0, 1)), finite
    if metric == "auc_ovr":
        classes = prediction.shape[1]
        predicted = np.stack(
            [group_scores(prediction[finite, place], groups) for place in range(classes)], axis=1
        )
        truth = label[finite, None] == np.arange(classes)
        return predicted, truth - truth.mean(axis=0), finite
    predicted = group_scores(prediction[finite], groups)[:, None]
    if metric == "auc":
        truth = label[finite, None].astype(np.float64)
        return predicted, truth - truth.mean(axis=0), finite
    return predicted, group_scores(label[finite], groups)[:, None], finite


def _all_shifts(
    predicted: Floats, labelled: Floats, places: Ints, symbols: npt.NDArray[Any], span: int
) -> tuple[Floats, Floats]:
    """Sum of products and number of overlapping rows for every circular shift, both (span,)."""
    curve, overlap = np.zeros(span // 2 + 1, dtype=complex), np.zeros(span // 2 + 1, dtype=complex)
    for symbol in np.unique(symbols):
        own = symbols == symbol
        present = np.zeros(span)
        present[places[own]] = 1.0
        spectrum = np.fft.rfft(present)
        overlap += spectrum * np.conj(spectrum)
        for channel in range(predicted.shape[1]):
            ahead, behind = np.zeros(span), np.zeros(span)
            ahead[places[own]] = predicted[own, channel]
            behind[places[own]] = labelled[own, channel]
            curve += np.fft.rfft(ahead) * np.conj(np.fft.rfft(behind))
    return np.fft.irfft(curve, span), np.fft.irfft(overlap, span)
