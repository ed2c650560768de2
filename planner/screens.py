"""Screens: is there anything in this target at all? Every feature against every target, in both views.

Rank (the score of a feature), folded (how far its time score lies from the middle), lags and trailing windows
of the score; each studentised by the circular-shift null (spectra). Over all symbols the scores are cross
scores for regression (the sum is the mean rank IC) and time scores for classes; for one symbol alone they are
time scores. The same sums tell whether a symbol has a law of its own: its correlation less that of all the
others, studentised alike. Products of two features are screened in products.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.scores import CROSS, TIME, Axis, Channel, chunks, cross, folded, label_grid, over_time
from planner.spectra import Spectrum, Spread, overlap_correction, padded, power_of, spectrum, spread_of, z_scores

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

LAGS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20)
WINDOWS = (3, 5, 10, 20)  # sums of the newest so many bars, this one included

_CHUNK = 40
_MOST_LAG = max(*LAGS, WINDOWS[-1] - 1)


@dataclass(frozen=True, slots=True)
class Sums:
    """Studentised sums of one scope, all symbols or (with the symbol as the first axis) each alone."""

    rank: Floats  # (features, channels) z
    fold: Floats  # (features, channels) z
    lag: Floats  # (features, channels, lags then windows) z
    correlation: Floats  # (features, channels) of the scores, lag 0
    inflation: Floats  # (features, channels) null variance over that of independent rows


@dataclass(frozen=True, slots=True)
class Own:
    """Whether symbols have a law of their own; (symbols, features, channels)."""

    z: Floats  # of the gap
    gap: Floats  # correlation within the symbol less that of the rest
    rest: Floats  # correlation of the rest
    rest_z: Floats


@dataclass(frozen=True, slots=True)
class Screened:
    """What the screens measured, and the scores it was measured on, at half precision, for the models."""

    features: tuple[str, ...]
    channels: tuple[Channel, ...]
    symbols: tuple[str, ...]
    present: npt.NDArray[np.int64]  # (symbols, channels) bars with a label
    pooled: Sums
    alone: Sums
    own: Own
    labels: Mapping[str, Float32s]  # CROSS, TIME -> (symbols, channels, timestamps)
    scores: Mapping[str, Halves]  # CROSS, TIME -> (symbols, features, timestamps)


def screen(axis: Axis, features: Sequence[str], channels: Sequence[Channel]) -> Screened:
    """Screen every feature against every channel on what is known before the end of `axis`."""
    raw = label_grid(axis, channels)
    labels = _Labels.of(axis, raw, channels)
    shape, symbols = (len(features), len(channels)), len(axis.rows)
    depth = len(LAGS) + len(WINDOWS)
    pooled = _blank((), shape, depth)
    alone = _blank((symbols,), shape, depth)
    own = Own(*(np.zeros((symbols, *shape)) for _ in range(4)))
    size = (symbols, len(features), axis.length)
    kept = {kind: np.zeros(size, dtype=np.float16) for kind in (CROSS, TIME)}
    for part in chunks(len(features), _CHUNK):
        grid = axis.grid(features[part])
        over = over_time(axis, grid)
        kept[TIME][:, part] = over
        if len(labels.places[CROSS]):
            across = cross(axis, grid)
            kept[CROSS][:, part] = across
            _pooled(labels, CROSS, across, over, part, pooled, own)
        if len(labels.places[TIME]):
            _pooled(labels, TIME, over, over, part, pooled, own)
        for symbol in range(symbols):
            _alone(labels, symbol, over[symbol], part, alone)
    return Screened(
        features=tuple(features),
        channels=tuple(channels),
        symbols=axis.panel.symbols,
        present=labels.present,
        pooled=pooled,
        alone=alone,
        own=own,
        labels=labels.scores,
        scores=kept,
    )


@dataclass(frozen=True, slots=True)
class _Labels:
    """Label scores, their spectra, and how many there are."""

    scores: dict[str, Float32s]  # kind -> (symbols, channels, timestamps)
    spectra: dict[str, Spectrum]  # kind -> (symbols, channels, frequencies)
    places: dict[str, npt.NDArray[np.intp]]  # kind -> channels pooled in this kind
    present: npt.NDArray[np.int64]  # (symbols, channels)
    bars: npt.NDArray[np.int64]  # (symbols,)
    length: int  # of the transform
    responses: Floats  # (1 + windows, frequencies) squared size of a trailing sum's response

    @classmethod
    def of(cls, axis: Axis, raw: Float32s, channels: Sequence[Channel]) -> "_Labels":
        """Score and transform raw labels, (symbols, channels, timestamps)."""
        scores = {CROSS: cross(axis, raw), TIME: over_time(axis, raw)}
        length = padded(axis.length)
        angles = np.arange(length // 2 + 1) * (2.0 * np.pi / length)
        sums = [np.exp(-1j * np.outer(np.arange(window), angles)).sum(axis=0) for window in (1, *WINDOWS)]
        return cls(
            scores=scores,
            spectra={kind: spectrum(one) for kind, one in scores.items()},
            places={
                kind: np.array([n for n, one in enumerate(channels) if one.pooled == kind], dtype=np.intp)
                for kind in (CROSS, TIME)
            },
            present=np.isfinite(raw).sum(axis=-1),
            bars=np.array([len(rows) for rows in axis.rows]),
            length=length,
            responses=np.abs(np.stack(sums)) ** 2,
        )

    def correction(self, symbols: slice, places: npt.NDArray[np.intp]) -> Floats:
        """Overlap at no shift over the mean overlap, for each channel, (channels,)."""
        return overlap_correction(self.present[symbols][:, places], self.length, self.bars[symbols])


def _blank(lead: tuple[int, ...], shape: tuple[int, int], depth: int) -> Sums:
    flat = [np.zeros((*lead, *shape)) for _ in range(4)]
    return Sums(flat[0], flat[1], np.zeros((*lead, *shape, depth)), flat[2], flat[3])


def _pooled(
    labels: _Labels, kind: str, x: Float32s, over: Float32s, part: slice, to: Sums, own: Own
) -> None:
    """Fill the sums over all symbols of the channels of one kind; x, over (symbols, features, timestamps)."""
    places = labels.places[kind]
    y, fy = labels.scores[kind][:, places], labels.spectra[kind][:, places]
    bent = folded(over)
    fx, ff = spectrum(x), spectrum(bent)
    crossing, crossing_folded = _cross_spectrum(fx, fy), _cross_spectrum(ff, fy)
    fix = labels.correction(slice(None), places)
    power = power_of(crossing)
    spreads = _spreads(power, labels)
    curve = np.sum([_curve(one, other) for one, other in zip(x, y, strict=True)], axis=0)
    _fill(to, (part, places), curve, spreads, fix, x, y, labels.present[:, places].sum(axis=0))
    size = spread_of(power_of(crossing_folded), labels.length)
    sums = np.sum([one @ other.T for one, other in zip(bent, y, strict=True)], axis=0)
    to.fold[part, places] = z_scores(sums.astype(np.float64), _widened(size, fix))
    if len(x) > 1:
        _own_laws(labels, places, part, (fx, fy, crossing), (x, y), own)


def _own_laws(
    labels: _Labels,
    places: npt.NDArray[np.intp],
    part: slice,
    spectra: tuple[Spectrum, Spectrum, Spectrum],
    scores: tuple[Float32s, Float32s],
    own: Own,
) -> None:
    """Fill the gap between each symbol's correlation and that of the rest."""
    (fx, fy, crossing), (x, y) = spectra, scores
    within = np.stack([(one @ other.T).astype(np.float64) for one, other in zip(x, y, strict=True)])
    counts = np.maximum(labels.present[:, places], 1).astype(np.float64)
    whole, total = within.sum(axis=0), counts.sum(axis=0)
    pooled_fix = labels.correction(slice(None), places)
    for symbol in range(len(x)):
        mine, others = counts[symbol], np.maximum(total - counts[symbol], 1.0)
        alone = fx[symbol].conj()[:, None, :] * fy[symbol][None, :, :]
        rest = crossing - alone
        fix = np.maximum(labels.correction(slice(symbol, symbol + 1), places), pooled_fix)
        rest_spread = _widened(spread_of(power_of(rest), labels.length), pooled_fix)
        alone *= (1.0 / mine).astype(np.float32)[None, :, None]
        rest *= (1.0 / others).astype(np.float32)[None, :, None]
        alone -= rest
        gap = within[symbol] / mine - (whole - within[symbol]) / others
        spread = _widened(spread_of(power_of(alone), labels.length), fix)
        own.z[symbol][part, places] = z_scores(gap, spread)
        own.gap[symbol][part, places] = gap
        own.rest[symbol][part, places] = (whole - within[symbol]) / others
        own.rest_z[symbol][part, places] = z_scores(whole - within[symbol], rest_spread)


def _alone(labels: _Labels, symbol: int, x: Float32s, part: slice, to: Sums) -> None:
    """Fill the sums of one symbol; x (features, timestamps) time scores."""
    y, fy = labels.scores[TIME][symbol], labels.spectra[TIME][symbol]
    every = np.arange(y.shape[0])
    fix = labels.correction(slice(symbol, symbol + 1), every)
    power_y = power_of(fy)
    own = Sums(*(getattr(to, name)[symbol] for name in ("rank", "fold", "lag", "correlation", "inflation")))
    spreads = _separable(power_of(spectrum(x)), power_y, labels)
    curve = _curve(x, y)
    _fill(own, (part, every), curve, spreads, fix, x[None], y[None], labels.present[symbol])
    bent = folded(x)
    size = _separable(power_of(spectrum(bent)), power_y, labels, windows=False)[0]
    own.fold[part] = z_scores((bent @ y.T).astype(np.float64), _widened(size, fix))


def _fill(
    to: Sums,
    where: tuple[slice, npt.NDArray[np.intp]],
    curve: Floats,
    spreads: Sequence[Spread],
    fix: Floats,
    x: Float32s,
    y: Float32s,
    rows: npt.NDArray[np.integer],
) -> None:
    """Put z-scores of lag 0, lags and windows, correlation and inflation in their places."""
    plain = _widened(spreads[0], fix)
    to.rank[where] = z_scores(curve[0], plain)
    lagged = [z_scores(curve[lag], plain) for lag in LAGS]
    lagged += [
        z_scores(curve[:window].sum(axis=0), _widened(spread, fix))
        for window, spread in zip(WINDOWS, spreads[1:], strict=True)
    ]
    to.lag[where] = np.stack(lagged, axis=-1)
    sizes = np.einsum("sft,sft->f", x, x, dtype=np.float64)[:, None] * np.einsum(
        "skt,skt->k", y, y, dtype=np.float64
    )
    to.correlation[where] = curve[0] / np.sqrt(np.maximum(sizes, 1e-12))
    to.inflation[where] = plain.variance / np.maximum(rows, 1)


def _curve(x: Float32s, y: Float32s) -> Floats:
    """Sum of products with the label 0, 1, ... bars later, (lags, features, channels)."""
    bars = x.shape[-1]
    return np.stack([(x[:, : bars - lag] @ y[:, lag:].T) for lag in range(_MOST_LAG + 1)]).astype(np.float64)


def _cross_spectrum(fx: Spectrum, fy: Spectrum) -> Spectrum:
    """sum_symbols conj(X) Y, (features, channels, frequencies)."""
    found = np.zeros((fx.shape[1], fy.shape[1], fx.shape[2]), dtype=np.complex64)
    for one, other in zip(fx.conj(), fy, strict=True):
        for channel, label in enumerate(other):
            found[:, channel] += one * label
    return found


def _spreads(power: Float32s, labels: _Labels) -> list[Spread]:
    """Spread of the plain sum, then of each window's, from the cross power (features, channels, f)."""
    flat = power.reshape(-1, power.shape[-1])
    response = labels.responses.T.astype(np.float32)
    return _from_sums(flat @ response, (flat**2) @ response**2, power.shape[:2], labels.length)


def _separable(
    power_x: Float32s, power_y: Float32s, labels: _Labels, *, windows: bool = True
) -> list[Spread]:
    """The same for one symbol, where the cross power is the product of both powers."""
    responses = labels.responses[: 1 + len(WINDOWS) * windows].astype(np.float32)
    scale = np.float32(max(float(power_x.max(initial=0.0)), 1e-12))  # fourth powers overflow float32
    weighted = power_y[:, None, :] * responses  # (channels, responses, f)
    scale_y = np.float32(max(float(weighted.max(initial=0.0)), 1e-12))
    x, w = power_x / scale, (weighted / scale_y).reshape(-1, power_y.shape[-1])
    shape = (len(power_x), len(power_y))
    total = (x @ w.T).reshape(*shape, -1)
    squares = ((x**2) @ (w**2).T).reshape(*shape, -1)
    both = float(scale) * float(scale_y)
    made = _from_sums(
        total.reshape(-1, total.shape[-1]), squares.reshape(-1, total.shape[-1]), shape, labels.length
    )
    return [Spread(one.variance * both, one.degrees) for one in made]


def _from_sums(
    totals: npt.NDArray[np.floating], squares: npt.NDArray[np.floating], shape: tuple[int, ...], length: int
) -> list[Spread]:
    made = []
    for total, square in zip(totals.T.astype(np.float64), squares.T.astype(np.float64), strict=True):
        degrees = np.divide(4.0 * total**2, square, out=np.zeros_like(total), where=square > 0)
        made.append(
            Spread((2.0 * total / length**2).reshape(shape), np.maximum(degrees, 3.0).reshape(shape))
        )
    return made


def _widened(spread: Spread, fix: Floats) -> Spread:
    return Spread(spread.variance * fix, spread.degrees)
