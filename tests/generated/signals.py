"""Small panels with one kind of signal each, and what is true of them: ``signal("regimes", seed)``.

Each kind is what one sort of family is made for. Labels are a known expectation of the features plus noise,
so the score of a perfect forecast is known as well; nothing is hidden in names or order of columns. The same
arguments give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from generated.signal_worlds import Floats, ar1, features_of, persistent_states

from panel.aligned import Panel
from panel.prepare import prepare_panel

TARGET = "fwd_ret_1d"
CLASSES = {"binary": "y_up_1d", "multiclass": "y_class_1d"}
_SIZE = 0.01  # labels look like returns


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One panel.

    Attributes:
        kind: its name in KINDS.
        features: (symbols, days, features).
        expected: (symbols, days) what the label's expectation is, given all that was known by then.
        scale: (symbols, days) standard deviation of the normal noise around it.
        labels: (symbols, days).
        others: further targets, name -> (symbols, days).
        truth: what else is known: breaks, states, coefficients.
    """

    kind: str
    features: Floats
    expected: Floats
    scale: Floats
    labels: Floats
    others: Mapping[str, Floats] = field(default_factory=dict)
    truth: Mapping[str, Any] = field(default_factory=dict)

    def frames(self) -> dict[str, pd.DataFrame]:
        """One frame of daily bars a symbol: date, f0, ..., the label, its classes, and other targets."""
        days = pd.date_range("2015-01-01", periods=self.labels.shape[1], freq="B", tz="UTC")
        cuts = np.quantile(self.labels, [1 / 3, 2 / 3])
        made = {}
        for place, values in enumerate(self.features):
            columns = {f"f{number}": column.astype(np.float32) for number, column in enumerate(values.T)}
            label = self.labels[place]
            columns[TARGET] = label.astype(np.float32)
            columns[CLASSES["binary"]] = (label > np.median(self.labels)).astype(np.float32)
            columns[CLASSES["multiclass"]] = np.digitize(label, cuts).astype(np.float32)
            columns |= {name: other[place].astype(np.float32) for name, other in self.others.items()}
            made[f"S{place:02d}"] = pd.DataFrame({"date": days, **columns})
        return made

    def panel(self, folder: Path) -> Panel:
        """Write the files below `folder` and prepare the panel from them."""
        data = folder / "data"
        for symbol, frame in self.frames().items():
            (data / f"symbol={symbol}").mkdir(parents=True)
            frame.to_parquet(data / f"symbol={symbol}" / f"{symbol}.parquet")
        return prepare_panel(data, symbols=None, cache_dir=folder / "cache")


def signal(kind: str, seed: int) -> Signal:
    """Make the panel of `kind` for `seed`."""
    random = np.random.default_rng([seed, list(KINDS).index(kind), 77])
    return KINDS[kind](random)


def _made(
    random: np.random.Generator, kind: str, features: Floats, signal: Floats, *, share: float, **more: Any
) -> Signal:
    """Add normal noise so that `signal` (symbols, days) has this `share` of the label's variance."""
    signal = signal / signal.std()
    noise = np.sqrt(1.0 / share - 1.0)
    labels = signal + noise * random.standard_normal(signal.shape)
    return Signal(
        kind=kind,
        features=features,
        expected=_SIZE * signal,
        scale=np.full(signal.shape, _SIZE * noise),
        labels=_SIZE * labels,
        **more,
    )


def linear(random: np.random.Generator) -> Signal:
    """Three of twelve features count, each in proportion."""
    x = features_of(random, symbols=6, days=500, features=12)
    return _made(random, "linear", x, 1.0 * x[..., 0] - 0.8 * x[..., 3] + 0.5 * x[..., 7], share=0.15)


def interaction(random: np.random.Generator) -> Signal:
    """A product of two features and a bend in a third; no feature has a linear relation to the label."""
    x = features_of(random, symbols=6, days=700, features=6)
    bend = np.abs(x[..., 2]) - np.sqrt(2 / np.pi)
    return _made(random, "interaction", x, x[..., 0] * x[..., 1] + 1.2 * bend, share=0.35)


def order(random: np.random.Generator) -> Signal:
    """Past bars count, each lag with its own sign, and a product of two; the row itself tells nothing."""
    x = features_of(random, symbols=6, days=700, features=4)
    lag = {steps: np.roll(x, steps, axis=1) for steps in (1, 2, 3, 4)}
    along = lag[1][..., 0] - lag[2][..., 0] + lag[3][..., 1] - lag[4][..., 1]
    mean = along + 0.8 * lag[1][..., 2] * lag[2][..., 2]
    mean[:, :4] = 0.0
    return _made(random, "order", x, mean, share=0.4)


def regimes(random: np.random.Generator) -> Signal:
    """Coefficients change sign with a lasting state of the market that one noisy feature shows."""
    x = features_of(random, symbols=6, days=700, features=6)
    state = persistent_states(random, days=700, stay=0.98)  # (days,) -1 or 1
    x[..., 4] = state + 0.8 * x[..., 4]
    mean = state * (x[..., 0] - 0.7 * x[..., 1])
    return _made(random, "regimes", x, mean, share=0.15, truth={"state": state})


def breaks(random: np.random.Generator) -> Signal:
    """Coefficients break at five bars, one of them in the part nobody trains on; two sets take turns."""
    days = 700
    x = features_of(random, symbols=6, days=days, features=6)
    at = np.array([90, 190, 300, 390, 620])
    which = np.searchsorted(at, np.arange(days), side="right") % 2  # (days,)
    sets = np.array([[1.0, -0.7, 0.0, 0.0, 0.0, 0.0], [-0.8, 0.3, 0.9, 0.0, 0.0, 0.0]])
    mean = np.einsum("sdf,df->sd", x, sets[which])
    return _made(random, "breaks", x, mean, share=0.2, truth={"breaks": at, "which": which})


def spread(random: np.random.Generator) -> Signal:
    """The label's width depends on a feature as its mean does on another: quantiles are known exactly."""
    x = features_of(random, symbols=20, days=1000, features=4)
    mean = 0.4 * x[..., 0]
    scale = np.exp(0.5 * x[..., 1])
    labels = mean + scale * random.standard_normal(mean.shape)
    return Signal(
        kind="spread",
        features=x,
        expected=_SIZE * mean,
        scale=_SIZE * scale,
        labels=_SIZE * labels,
    )


def symbols(random: np.random.Generator) -> Signal:
    """Each of thirty symbols has coefficients of its own around common ones, and a short history."""
    x = features_of(random, symbols=30, days=150, features=6)
    common = np.array([0.7, -0.5, 0.3, 0.0, 0.0, 0.0])
    own = common + 0.6 * random.standard_normal((30, 6))
    return _made(random, "symbols", x, np.einsum("sdf,sf->sd", x, own), share=0.35, truth={"own": own})


def shared_factor(random: np.random.Generator) -> Signal:
    """Four noisy targets of one bent factor of the features."""
    x = features_of(random, symbols=6, days=500, features=8)
    factor = np.tanh(x[..., 0] - x[..., 1]) + 0.7 * x[..., 2] * x[..., 3]
    made = _made(random, "shared_factor", x, factor, share=0.12)
    unit = factor / factor.std()
    others = {
        f"y_beside{number}_1d": _SIZE * (sign * unit + 1.5 * random.standard_normal(unit.shape))
        for number, sign in enumerate((1.0, -1.0, 1.0))
    }
    return Signal(
        kind="shared_factor",
        features=x,
        expected=made.expected,
        scale=made.scale,
        labels=made.labels,
        others=others,
    )


def latent(random: np.random.Generator) -> Signal:
    """Three factors drive forty noisy features; the label depends on two of the factors, one of them bent."""
    factors = ar1(random, (6, 500, 3), 0.0)
    loadings = random.standard_normal((3, 40))
    x = factors @ loadings + 1.5 * random.standard_normal((6, 500, 40))
    return _made(random, "latent", x, factors[..., 0] + 0.8 * np.abs(factors[..., 1]), share=0.2)


def mixed(random: np.random.Generator) -> Signal:
    """Half of it is linear in forty features, half a product of two signs that only steps find."""
    x = features_of(random, symbols=6, days=600, features=42)
    linear_part = x[..., 2:] @ np.where(np.arange(40) % 2 == 0, 1.0, -1.0)
    mean = linear_part / linear_part.std() + np.sign(x[..., 0]) * np.sign(x[..., 1])
    return _made(random, "mixed", x, mean, share=0.4)


def noise(random: np.random.Generator) -> Signal:
    """Nothing: heavy-tailed labels that move together, among features of which half are persistent."""
    x = ar1(random, (6, 500, 6), 0.0)
    x[..., 3:] = ar1(random, (6, 500, 3), 0.97)
    market = random.standard_t(4, (1, 500))
    labels = (market + random.standard_t(4, (6, 500))) / 2.0
    nothing = np.zeros(labels.shape)
    others = {f"y_beside{number}_1d": _SIZE * random.standard_normal(labels.shape) for number in range(2)}
    return Signal(
        kind="noise",
        features=x,
        expected=nothing,
        scale=nothing + _SIZE,
        labels=_SIZE * labels,
        others=others,
    )


KINDS: Mapping[str, Callable[[np.random.Generator], Signal]] = {
    maker.__name__: maker
    for maker in (
        linear,
        interaction,
        order,
        regimes,
        breaks,
        spread,
        symbols,
        shared_factor,
        latent,
        mixed,
        noise,
    )
}
