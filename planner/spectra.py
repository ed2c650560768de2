"""Could a correlation be luck? The circular-shift null of sums of products, all shifts of all pairs at once.

Shifting the labels in time against the features, all symbols together, breaks what links them and keeps
what makes luck likely: the memory of both, overlapping windows, the tie between symbols. The sum of products
at shift s is the cross-correlation C(s), all shifts by one Fourier transform. The null's variance is the mean
of C(s)^2 over the shifts that lie beyond ten horizons: nearer ones show what features say of past labels. It
is an estimate from as many frequencies as carry power; Satterthwaite's (1946) degrees of freedom say how
many, and the statistic is judged by Student's t instead of the normal. Symbols that lack bars share fewer
rows with themselves when shifted; the variance is scaled to the rows shared at no shift.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]
Mask = npt.NDArray[np.bool_]

SMALLEST_P = 1e-300
_FEWEST_DEGREES = 3.0
_MOST_CORRECTION = 20.0  # of rows shared at no shift over those at a shift
_ENDLESS = 1e30


@dataclass(frozen=True, slots=True)
class Spread:
    """Variance of a sum of products over the shifts, and the degrees of freedom of that estimate."""

    variance: Floats
    degrees: Floats


@dataclass(frozen=True, slots=True)
class Overlap:
    """Rows that features and labels share, (symbols, channels): at no shift, and at a shift of the null."""

    unshifted: Floats
    shifted: Floats

    def correction(self, symbols: slice) -> Floats:
        """What the null's variance is multiplied by for these symbols together, (channels,), at least 1.

        Where hardly anything is shared when shifted there is no null, and the variance becomes endless.
        """
        whole, average = self.unshifted[symbols].sum(axis=0), self.shifted[symbols].sum(axis=0)
        ratio = np.divide(whole, average, out=np.ones_like(whole), where=average > 0)
        return np.where(whole > _MOST_CORRECTION * average, _ENDLESS, np.maximum(ratio, 1.0))


@functools.cache
def _scipy(part: str) -> ModuleType:
    """Load a part of the library on first use: a quarter of a second that a cached plan does not spend."""
    return import_module(f"scipy.{part}")


def spectrum(scores: Float32s) -> Spectrum:
    """Fourier transform along the last axis, zero-padded to a convenient length."""
    found: Spectrum = _scipy("fft").rfft(scores, padded(scores.shape[-1]), axis=-1)
    return found


def padded(length: int) -> int:
    """Length of the transform for a series of `length`."""
    return int(_scipy("fft").next_fast_len(length, real=True))


def inverse(crossing: Spectrum, length: int) -> Float32s:
    """The cross-correlation of a cross spectrum, (..., length): place s is the sum at a shift of s."""
    found: Float32s = _scipy("fft").irfft(crossing, length, axis=-1)
    return found


def spectrum_of(curve: Float32s) -> Spectrum:
    """The cross spectrum of a cross-correlation whose length is that of its transform already."""
    found: Spectrum = _scipy("fft").rfft(curve, axis=-1)
    return found


def degrees_of(power: npt.NDArray[np.floating]) -> Floats:
    """Degrees of freedom of the null's variance as estimated from |cross spectrum|^2 along the last axis.

    The estimate is a sum of about exponential variables s_f, one for each frequency but 0; the square of
    such a variable has twice its mean squared as its mean, so sum(s_f)^2 / sum(s_f^2) counts them at a half
    and each is worth two degrees: 4 sum(s_f)^2 / sum(s_f^2).
    """
    total = power[..., 1:].sum(axis=-1, dtype=np.float64)
    squares = np.einsum("...f,...f->...", power[..., 1:], power[..., 1:], dtype=np.float64)
    degrees = np.divide(4.0 * total**2, squares, out=np.zeros_like(total), where=squares > 0)
    return np.asarray(np.maximum(degrees, _FEWEST_DEGREES))


def gaps_of(horizons: Sequence[int], length: int) -> npt.NDArray[np.int64]:
    """Shifts up to which labels of these horizons still know features' past, (horizons,).

    Ten horizons, at least a twentieth and at most a quarter of the `length` of the transform.
    """
    return np.clip(10 * np.asarray(horizons, dtype=np.int64), length // 20, length // 4)


def power_of(cross: Spectrum) -> Float32s:
    """Squared size of a cross spectrum."""
    return np.asarray(cross.real**2 + cross.imag**2)


def overlap_of(bars: Mask, labelled: Mask, gaps: npt.NDArray[np.integer]) -> Overlap:
    """Count what features and labels share, at no shift and over the shifts beyond each channel's gap.

    `bars` (symbols, timestamps): where features are; `labelled` (symbols, channels, timestamps); `gaps`
    (channels,).
    """
    length = padded(bars.shape[-1])
    shifted = np.zeros(labelled.shape[:2])
    for symbol, (there, known) in enumerate(zip(bars, labelled, strict=True)):
        crossing = spectrum(there.astype(np.float32)).conj() * spectrum(known.astype(np.float32))
        for channel, (curve, gap) in enumerate(zip(inverse(crossing, length), gaps, strict=True)):
            shifted[symbol, channel] = curve[gap + 1 : length - gap].mean(dtype=np.float64)
    return Overlap((bars[:, None] & labelled).sum(axis=-1).astype(np.float64), np.maximum(shifted, 0.0))


def z_scores(sums: Floats, spread: Spread) -> Floats:
    """Sums of products in standard deviations of the null, brought from Student's t to the normal scale."""
    scale = np.sqrt(spread.variance)
    raw = np.divide(sums, scale, out=np.zeros_like(sums), where=scale > 0)
    tail = np.maximum(_scipy("special").stdtr(spread.degrees, -np.abs(raw)), SMALLEST_P)
    return np.asarray(np.sign(raw) * -_scipy("special").ndtri(tail))


def two_sided(z: npt.ArrayLike) -> Floats:
    """Two-sided p-value of a normal z."""
    tail = _scipy("special").ndtr(-np.abs(np.asarray(z, dtype=np.float64)))
    return np.asarray(np.maximum(2.0 * tail, SMALLEST_P))


def of_many(p: float, tests: int) -> float:
    """Bonferroni: the p-value of the best of `tests`."""
    return min(1.0, p * max(tests, 1))
