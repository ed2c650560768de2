"""Laws by which a target's one-bar stream follows features, with their conditional means in closed form.

A law adds c * u_t to the stream's value of row t+1. The label is the sum of the next h values, so its
conditional mean is c * E[u_t + .. + u_{t+h-1} | known at t]. For each kind of u both that mean (`ahead`) and
two variances are known: of the mean (`known`) and of the whole sum (`total`). From these the strength c for
a wanted correlation IC between conditional mean and label follows: c^2 known = IC^2 (c^2 total + noise).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from generated.world import Float32s, Floats, earlier

Shape = Callable[[Floats], Floats]
_GRID = np.linspace(-6.0, 6.0, 481)
_WEIGHT = np.exp(-0.5 * _GRID**2) / np.exp(-0.5 * _GRID**2).sum()


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One part of a law over `horizon` bars: u_t of mean 0, variance 1, and what is known of its sum."""

    bar: Floats  # (symbols, bars) u_t
    ahead: Floats  # (symbols, bars) E[u_t + .. + u_{t+h-1} | known at t]
    known: float  # variance of `ahead`
    total: float  # variance of the sum itself


def linear(x: Float32s, phi: float, horizon: int) -> Term:
    """The law u = x, an autoregression with coefficient `phi`."""
    steps = np.arange(horizon)
    reach = float((phi**steps).sum())
    values = x.astype(np.float64)
    return Term(bar=values, ahead=values * reach, known=reach**2, total=_total(phi**steps))


def product(one: Float32s, other: Float32s, phi: float, horizon: int) -> Term:
    """The law u = x1 x2 of two independent autoregressions whose coefficients multiply to `phi`."""
    return linear((one * other).astype(np.float32), phi, horizon)


def shaped(x: Float32s, phi: float, horizon: int, shape: Shape) -> Term:
    """The law u = g(x), brought to mean 0 and variance 1; expectations by quadrature over the normal law."""
    raw = shape(_GRID)
    mean = float((raw * _WEIGHT).sum())
    spread = float(np.sqrt(((raw - mean) ** 2 * _WEIGHT).sum()))

    def g(values: Floats) -> Floats:
        return (shape(values) - mean) / spread

    by_step = [g(_GRID)]
    for step in range(1, horizon):
        past = phi**step
        if past < 1e-4:
            by_step.append(np.zeros_like(_GRID))
            continue
        inside = past * _GRID[:, None] + np.sqrt(1.0 - past * past) * _GRID[None, :]
        by_step.append((g(inside) * _WEIGHT).sum(axis=1))
    together = np.sum(by_step, axis=0)
    gammas = np.array([float((by_step[0] * later * _WEIGHT).sum()) for later in by_step])
    values = x.astype(np.float64)
    now = g(values)
    rest = np.interp(values, _GRID, together - by_step[0])  # smooth, so read off the grid
    return Term(bar=now, ahead=now + rest, known=float((together**2 * _WEIGHT).sum()), total=_total(gammas))


def filtered(white: Float32s, weights: Sequence[float], horizon: int) -> Term:
    """u_t = sum of weights[j] x_{t-j} over white x; weights are brought to sum of squares 1."""
    w = np.asarray(weights) / np.sqrt(np.sum(np.square(weights)))
    known = np.zeros(len(w))
    future = np.zeros(horizon)
    for step in range(horizon):  # the term u_{t+step} holds x_{t+step-j} with weight w[j]
        for lag, weight in enumerate(w):
            if lag >= step:
                known[lag - step] += weight
            else:
                future[step - lag] += weight
    values = white.astype(np.float64)
    bar, ahead = np.zeros(values.shape), np.zeros(values.shape)
    for lag, weight in enumerate(w):
        moved = earlier(values, lag)
        bar += weight * moved
        ahead += known[lag] * moved
    return Term(
        bar=bar,
        ahead=ahead,
        known=float((known**2).sum()),
        total=float((known**2).sum() + (future**2).sum()),
    )


def mixed(terms: Sequence[Term], weights: Sequence[float]) -> Term:
    """Independent terms as one, weights brought to sum of squares 1."""
    w = np.asarray(weights) / np.sqrt(np.sum(np.square(weights)))
    return Term(
        bar=np.sum([weight * term.bar for weight, term in zip(w, terms, strict=True)], axis=0),
        ahead=np.sum([weight * term.ahead for weight, term in zip(w, terms, strict=True)], axis=0),
        known=float(sum(weight**2 * term.known for weight, term in zip(w, terms, strict=True))),
        total=float(sum(weight**2 * term.total for weight, term in zip(w, terms, strict=True))),
    )


def strength(term: Term, noise: float, ic: float) -> float:
    """The c that makes the correlation of conditional mean and label `ic` against noise of that variance.

    Raises:
        ValueError: the law is too noisy itself: no strength reaches that correlation.
    """
    rest = term.known - ic**2 * term.total
    if rest <= 0.0:
        raise ValueError(
            f"a correlation of {ic} is beyond a law of which {term.known / term.total:.3f} is known"
        )
    return float(np.sqrt(ic**2 * noise / rest))


def own_past(shocks: Floats, horizon: int, ic: float, scatter: float) -> tuple[Floats, Floats, float]:
    """A stream that follows the sum of its own last `horizon` values: (stream, conditional mean, strength).

    An autoregression of order h with equal coefficients c, so the lagged label is the best feature there
    is. c comes from the moving-average weights psi: of the label sum the part before t has the variance
    sum_i (psi_{i+1} + .. + psi_{i+h})^2. `scatter` is the variance that other things add to the label; the
    sign of `ic` makes it momentum or reversal.
    """
    low, high = 0.0, 0.9 / horizon
    for _ in range(60):
        middle = (low + high) / 2
        if _own_past_ic(np.sign(ic) * middle, horizon, scatter) < abs(ic):
            low = middle
        else:
            high = middle
    c = float(np.sign(ic) * (low + high) / 2)
    stream = np.zeros(shocks.shape)
    recent = np.zeros(len(shocks))  # sum of the last h values
    for bar in range(shocks.shape[1]):
        stream[:, bar] = c * recent + shocks[:, bar]
        recent += stream[:, bar]
        if bar >= horizon:
            recent -= stream[:, bar - horizon]
    window = [earlier(stream, back) for back in range(horizon)]  # newest first
    ahead = np.zeros(shocks.shape)
    for _ in range(horizon):
        expected = c * np.sum(window, axis=0)
        ahead += expected
        window = [expected, *window[:-1]]
    return stream, ahead, c


def _own_past_ic(c: float, horizon: int, scatter: float) -> float:
    reach = 40 * horizon
    psi = np.zeros(reach + horizon + 1)
    psi[0] = 1.0
    for lag in range(1, len(psi)):
        psi[lag] = c * psi[max(0, lag - horizon) : lag].sum()
    total = np.cumsum(psi)
    known = float(((total[horizon : reach + horizon] - total[:reach]) ** 2).sum())
    future = float((total[:horizon] ** 2).sum())
    return float(np.sqrt(known / (known + future + scatter)))


def _total(gammas: Floats | np.ndarray) -> float:
    """Variance of a sum of len(gammas) neighbours with these autocovariances."""
    horizon = len(gammas)
    return float(horizon * gammas[0] + 2.0 * ((horizon - np.arange(1, horizon)) * gammas[1:]).sum())
