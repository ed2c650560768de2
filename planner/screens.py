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

from panel.metrics import symbols_needed
from planner.scores import (
    CROSS,
    TIME,
    Axis,
    Channel,
    across,
    chunks,
    cross,
    cross_labels,
    folded,
    label_grid,
    over_time,
    time_features,
)
from planner.spectra import (
    Overlap,
    Spectrum,
    Spread,
    degrees_of,
    gaps_of,
    inverse,
    overlap_of,
    padded,
    power_of,
    spectrum,
    spectrum_of,
    z_scores,
)

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

LAGS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20)
WINDOWS = (3, 5, 10, 20)  # sums of the newest so many bars, this one included

_CURVE_VALUES = 6_000_000  # float32 numbers of all curves held at once: 24 MB
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
    own_z: Floats  # of the correlation within the symbol


@dataclass(frozen=True, slots=True)
class Screened:
    """What the screens measured, and scores of the features at half precision, for the models.

    The cross scores are plain ranks of each moment: what the screens take out of them (a symbol's mean of all
    time) would tell a model what is still to come.
    """

    features: tuple[str, ...]
    channels: tuple[Channel, ...]
    symbols: tuple[str, ...]
    present: npt.NDArray[np.int64]  # (symbols, channels) bars with a label
    pooled: Sums
    alone: Sums
    own: Own
    labels: Mapping[str, Float32s]  # CROSS, TIME -> (symbols, channels, timestamps)
    scores: Mapping[str, Halves]  # CROSS, TIME -> (symbols, features, timestamps)


def screen(
    axis: Axis, features: Sequence[str], channels: Sequence[Channel], *, by_symbol: bool = True
) -> Screened:
    """Screen every feature against every channel on what is known before the end of `axis`.

    Without `by_symbol` no symbol is screened by itself: `alone` and `own` have none.
    """
    raw = label_grid(axis, channels)
    labels = _Labels.of(axis, raw, channels)
    shape, symbols = (len(features), len(channels)), len(axis.rows)
    depth = len(LAGS) + len(WINDOWS)
    pooled = _blank((), shape, depth)
    apart = symbols if by_symbol else 0
    alone = _blank((apart,), shape, depth)
    own = Own(*(np.zeros((apart, *shape)) for _ in range(4)))
    size = (symbols, len(features), axis.length)
    kept = {kind: np.zeros(size, dtype=np.float16) for kind in (CROSS, TIME)}
    room = _CURVE_VALUES // max(1, symbols * len(channels) * labels.length)
    for part in chunks(len(features), max(1, room)):
        grid = axis.grid(features[part])
        over = time_features(axis, grid)
        kept[TIME][:, part] = over
        if len(labels.places[CROSS]):
            ranked = across(grid)
            kept[CROSS][:, part] = ranked
            _pooled(labels, CROSS, cross(axis, grid, ranked), over, part, pooled, own)
        if len(labels.places[TIME]):
            _pooled(labels, TIME, over, over, part, pooled, own)
        for symbol in range(apart):
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
    overlaps: dict[str, Overlap]  # kind -> rows shared with the features
    gaps: npt.NDArray[np.int64]  # (channels,) shifts up to this one are no part of the null
    length: int  # of the transform
    responses: Floats  # (1 + windows, frequencies) squared size of a trailing sum's response

    @classmethod
    def of(cls, axis: Axis, raw: Float32s, channels: Sequence[Channel]) -> "_Labels":
        """Score and transform raw labels, (symbols, channels, timestamps)."""
        scores = {CROSS: cross_labels(axis, raw), TIME: over_time(axis, raw)}
        length = padded(axis.length)
        gaps = gaps_of([one.horizon_bars for one in channels], length)
        bars, known = axis.bars, np.isfinite(raw)
        many = bars & (bars.sum(axis=0) >= symbols_needed(len(bars)))
        ranked = known & (scores[CROSS] != 0.0).any(axis=0)
        angles = np.arange(length // 2 + 1) * (2.0 * np.pi / length)
        sums = [np.exp(-1j * np.outer(np.arange(window), angles)).sum(axis=0) for window in (1, *WINDOWS)]
        return cls(
            scores=scores,
            spectra={kind: spectrum(one) for kind, one in scores.items()},
            places={
                kind: np.array([n for n, one in enumerate(channels) if one.pooled == kind], dtype=np.intp)
                for kind in (CROSS, TIME)
            },
            present=known.sum(axis=-1),
            overlaps={CROSS: overlap_of(many, ranked, gaps), TIME: overlap_of(bars, known, gaps)},
            gaps=gaps,
            length=length,
            responses=np.abs(np.stack(sums)) ** 2,
        )


def _blank(lead: tuple[int, ...], shape: tuple[int, int], depth: int) -> Sums:
    flat = [np.zeros((*lead, *shape)) for _ in range(4)]
    return Sums(flat[0], flat[1], np.zeros((*lead, *shape, depth)), flat[2], flat[3])


def _pooled(labels: _Labels, kind: str, x: Float32s, over: Float32s, part: slice, to: Sums, own: Own) -> None:
    """Fill the sums over all symbols of the channels of one kind; x, over (symbols, features, timestamps)."""
    places = labels.places[kind]
    fy = labels.spectra[kind][:, places]
    gaps, fix = labels.gaps[places], labels.overlaps[kind].correction(slice(None))[places]
    fx = spectrum(x)
    curves = np.stack([_curve(one, other, labels.length) for one, other in zip(fx, fy, strict=True)])
    whole = curves.sum(axis=0, dtype=np.float32)  # (features, channels, shifts)
    crossing = spectrum_of(whole)
    plain = Spread(_outside(whole, whole, gaps), degrees_of(power_of(crossing)))
    spreads = [plain, *_windowed(power_of(crossing), plain, labels)]
    _fill(to, (part, places), whole, spreads, fix, labels.present[:, places].sum(axis=0))
    bent = folded(over)
    ff = spectrum(bent)
    bending = np.zeros_like(whole)
    for one, other in zip(ff, fy, strict=True):
        bending += _curve(one, other, labels.length)
    size = Spread(_outside(bending, bending, gaps), degrees_of(power_of(spectrum_of(bending))))
    to.fold[part, places] = z_scores(bending[..., 0].astype(np.float64), _widened(size, fix))
    if len(x) > 1 and len(own.z):
        _own_laws(labels, kind, part, curves, whole, own, plain.degrees)


def _own_laws(
    labels: _Labels,
    kind: str,
    part: slice,
    curves: Float32s,
    whole: Float32s,
    own: Own,
    degrees: Floats,
) -> None:
    """Fill the gap between each symbol's correlation and that of the rest."""
    places = labels.places[kind]
    counts = np.maximum(labels.present[:, places], 1).astype(np.float64)
    gaps, total = labels.gaps[places], counts.sum(axis=0)
    every = _outside(whole, whole, gaps)
    together = labels.overlaps[kind].correction(slice(None))[places]
    for symbol, curve in enumerate(curves):
        mine, others = 1.0 / counts[symbol], 1.0 / np.maximum(total - counts[symbol], 1.0)
        alone, shared = _outside(curve, curve, gaps), _outside(curve, whole, gaps)
        rest = np.maximum(every - 2.0 * shared + alone, 0.0)
        variance = mine**2 * alone + others**2 * rest - 2.0 * mine * others * (shared - alone)
        fix = np.maximum(labels.overlaps[kind].correction(slice(symbol, symbol + 1))[places], together)
        within, outside = curve[..., 0].astype(np.float64), (whole[..., 0] - curve[..., 0]).astype(np.float64)
        gap = within * mine - outside * others
        freedom = np.minimum(degrees, degrees_of(power_of(spectrum_of(curve))))
        own.z[symbol][part, places] = z_scores(gap, Spread(np.maximum(variance, 0.0) * fix, freedom))
        own.own_z[symbol][part, places] = z_scores(within, Spread(alone * fix, freedom))
        own.gap[symbol][part, places] = gap
        own.rest[symbol][part, places] = outside * others


def _alone(labels: _Labels, symbol: int, x: Float32s, part: slice, to: Sums) -> None:
    """Fill the sums of one symbol; x (features, timestamps) time scores."""
    fy = labels.spectra[TIME][symbol]
    every = np.arange(len(fy))
    fix = labels.overlaps[TIME].correction(slice(symbol, symbol + 1))
    own = Sums(*(getattr(to, name)[symbol] for name in ("rank", "fold", "lag", "correlation", "inflation")))
    curve = _curve(spectrum(x), fy, labels.length)
    power = power_of(spectrum_of(curve))
    plain = Spread(_outside(curve, curve, labels.gaps), degrees_of(power))
    spreads = [plain, *_windowed(power, plain, labels)]
    _fill(own, (part, every), curve, spreads, fix, labels.present[symbol])
    bending = _curve(spectrum(folded(x)), fy, labels.length)
    size = Spread(_outside(bending, bending, labels.gaps), plain.degrees)
    own.fold[part] = z_scores(bending[..., 0].astype(np.float64), _widened(size, fix))


def _fill(
    to: Sums,
    where: tuple[slice, npt.NDArray[np.intp]],
    curve: Float32s,
    spreads: Sequence[Spread],
    fix: Floats,
    rows: npt.NDArray[np.integer],
) -> None:
    """Put z-scores of lag 0, lags and windows, correlation and inflation in their places."""
    near = curve[..., : _MOST_LAG + 1].astype(np.float64)
    plain = _widened(spreads[0], fix)
    to.rank[where] = z_scores(near[..., 0], plain)
    lagged = [z_scores(near[..., lag], plain) for lag in LAGS]
    lagged += [
        z_scores(near[..., :window].sum(axis=-1), _widened(spread, fix))
        for window, spread in zip(WINDOWS, spreads[1:], strict=True)
    ]
    to.lag[where] = np.stack(lagged, axis=-1)
    to.correlation[where] = near[..., 0] / np.maximum(rows, 1)
    to.inflation[where] = plain.variance / np.maximum(rows, 1)


def _curve(fx: Spectrum, fy: Spectrum, length: int) -> Float32s:
    """Sums of products of one symbol with the label 0, 1, ... bars later, (features, channels, shifts)."""
    return inverse(fx.conj()[:, None, :] * fy[None, :, :], length)


def _outside(one: Float32s, other: Float32s, gaps: npt.NDArray[np.int64]) -> Floats:
    """Mean product of two curves over the shifts beyond each channel's gap, (features, channels)."""
    found = np.empty(one.shape[:2])
    for channel, gap in enumerate(gaps):
        stop = one.shape[-1] - int(gap)
        far, also = one[:, channel, gap + 1 : stop], other[:, channel, gap + 1 : stop]
        found[:, channel] = np.einsum("fs,fs->f", far, also, dtype=np.float64) / far.shape[-1]
    return found


def _windowed(power: Float32s, plain: Spread, labels: _Labels) -> list[Spread]:
    """Spread of each trailing window's sum: the plain one times what its filter lets through."""
    flat = power.reshape(-1, power.shape[-1])
    let_through = (flat @ labels.responses.T.astype(np.float32)).reshape(*power.shape[:2], -1)
    share = let_through / np.maximum(let_through[..., :1], 1e-30)
    return [Spread(plain.variance * share[..., place], plain.degrees) for place in range(1, share.shape[-1])]


def _widened(spread: Spread, fix: Floats) -> Spread:
    return Spread(spread.variance * fix, spread.degrees)
