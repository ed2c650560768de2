"""The kinds of targets: each makes a hidden one-bar stream, a label, what could be known, and features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from generated.laws import Term, filtered, linear, mixed, own_past, product, shaped, strength
from generated.truth import BLOCKED, BOTH, CROSS_SECTIONAL, SYMBOL_SPECIFIC
from generated.world import Floats, World, earlier, forward_sum, heavy, persistent, trailing_mean

MARKET_VARIANCE = 0.5  # of the market's one-bar return, against 1 of a symbol's own
BETA_SPREAD = 0.25
SYMBOLS_ALONE = 3


@dataclass(slots=True, kw_only=True)
class Target:
    """A target under construction; arrays are (symbols, bars), features are named by tags."""

    tag: str
    kind: str
    horizon: int
    task: str = "regression"
    stream: Floats
    label: Floats
    expected: Floats | None = None  # E[label | known at t], up to a factor
    planted_ic: float | None = None
    predictable: bool = False
    route: str = BLOCKED
    own_symbols: tuple[int, ...] = ()
    features: dict[str, np.ndarray] = field(default_factory=dict)  # tag -> values as observed
    true: tuple[str, ...] = ()
    true_by_symbol: dict[int, tuple[str, ...]] = field(default_factory=dict)
    legal_lags: tuple[str, ...] = ()
    stream_of: str | None = None  # the tag of the target whose stream it shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What a kind is made with: the ground, its own generator, the targets made before it."""

    world: World
    tag: str
    kind: str
    rng: np.random.Generator
    made: Mapping[str, Target]

    def pick(self, *choices: float) -> float:
        """One of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def bars(self, *choices: int) -> int:
        """One of the horizons."""
        return choices[int(self.rng.integers(len(choices)))]

    def ic(self, low: float, high: float) -> float:
        """A correlation to plant."""
        return float(self.rng.uniform(low, high))

    def noise(self) -> tuple[Floats, Floats]:
        """One-bar noise of each symbol and what the market adds to it, both (symbols, bars)."""
        world = self.world
        own = heavy(self.rng, world.shape) * world.size
        market = heavy(self.rng, (world.shape[1],)) * np.sqrt(MARKET_VARIANCE)
        beta = 1.0 + BETA_SPREAD * self.rng.standard_normal((world.shape[0], 1))
        return own, beta * market[world.calendar] * world.size

    def driver(self, name: str, phi: float) -> np.ndarray:
        """The hidden Gaussian values of a feature that will drive the target, (symbols, bars)."""
        return persistent(self.world.calm(f"{self.tag} {name}"), phi)

    def observed(self, values: np.ndarray) -> np.ndarray:
        """A driver as the data shows it: now and then with heavy tails or on another scale."""
        form = self.rng.random()
        if form < 0.15:
            return np.sinh(1.2 * values)
        return values * np.float32(100.0) + np.float32(30.0) if form < 0.3 else values


SCATTER = BETA_SPREAD**2 * MARKET_VARIANCE  # what the market leaves within a timestamp


def _after(drive: Floats, noise: Floats) -> Floats:
    """The stream: what drives row t shows in row t+1."""
    return earlier(drive, 1) + noise


def _driven(
    shop: Workshop,
    terms: Mapping[tuple[str, ...], Term],
    values: Mapping[str, np.ndarray],
    horizon: int,
    ic: float,
) -> Target:
    """A target that follows the terms in every symbol; each term is known by the names of its features."""
    weights = [1.0 + 0.5 * shop.rng.random() * (-1) ** place for place in range(len(terms))]
    signs = shop.rng.choice([-1.0, 1.0], size=len(terms))
    law = mixed(list(terms.values()), list(np.asarray(weights) * signs))
    own, market = shop.noise()
    c = strength(law, horizon * (1.0 + SCATTER), ic)
    stream = _after(c * law.bar, own + market)
    return Target(
        tag=shop.tag,
        kind=shop.kind,
        horizon=horizon,
        stream=stream,
        label=forward_sum(stream, horizon),
        expected=c * law.ahead,
        planted_ic=ic,
        predictable=True,
        route=CROSS_SECTIONAL,
        features={f"{shop.tag}.{name}": shop.observed(made) for name, made in values.items()},
        true=tuple(f"{shop.tag}.{name}" for names in terms for name in names),
    )


def _linear(shop: Workshop, drivers: int, phis: Sequence[float], horizon: int, ic: float) -> Target:
    values, terms = {}, {}
    for place in range(drivers):
        phi = shop.pick(*phis)
        values[f"x{place}"] = shop.driver(f"x{place}", phi)
        terms[(f"x{place}",)] = linear(values[f"x{place}"], phi, horizon)
    return _driven(shop, terms, values, horizon, ic)


def strong_linear(shop: Workshop) -> Target:
    """Three drivers of different persistence."""
    return _linear(shop, 3, (0.0, 0.5, 0.9), shop.bars(1, 3, 6, 12, 20), shop.ic(0.08, 0.105))


def weak_linear(shop: Workshop) -> Target:
    """Two drivers, little signal."""
    return _linear(shop, 2, (0.0, 0.5, 0.8), shop.bars(1, 3, 6), shop.ic(0.053, 0.07))


def binary(shop: Workshop) -> Target:
    """Above or below a line, balanced or one in three."""
    made = _linear(shop, 2, (0.0, 0.5, 0.8), shop.bars(1, 3, 6), shop.ic(0.08, 0.12))
    present = made.label[shop.world.listed & np.isfinite(made.label)]
    line = float(np.quantile(present, shop.pick(0.5, 0.65)))
    made.label = np.where(np.isfinite(made.label), (made.label > line).astype(np.float64), np.nan)
    made.task = "binary"
    return made


def nonlinear(shop: Workshop) -> Target:
    """The size of a feature, or whether it is beyond a line: no linear trace."""
    horizon, phi = shop.bars(1, 3, 6), shop.pick(0.0, 0.5, 0.8)
    shapes: tuple[Callable[[Floats], Floats], ...] = (np.abs, _beyond)
    shape = shapes[int(shop.rng.integers(len(shapes)))]
    x = shop.driver("x", phi)
    terms = {("x",): shaped(x, phi, horizon, shape)}
    return _driven(shop, terms, {"x": x}, horizon, shop.ic(0.07, 0.10))


def _beyond(values: Floats) -> Floats:
    return (np.abs(values) > 1.2).astype(np.float64)


def interaction(shop: Workshop) -> Target:
    """The product of two features, neither of which says anything alone."""
    horizon, first, second = shop.bars(1, 3, 6), shop.pick(0.0, 0.6, 0.8), shop.pick(0.6, 0.8)
    values = {"x0": shop.driver("x0", first), "x1": shop.driver("x1", second)}
    terms = {("x0", "x1"): product(values["x0"], values["x1"], first * second, horizon)}
    return _driven(shop, terms, values, horizon, shop.ic(0.07, 0.10))


def sequence(shop: Workshop) -> Target:
    """What a white feature was some bars ago, or its mean over a window of past bars."""
    x = shop.driver("x", 0.0)
    if shop.rng.random() < 0.5:
        lag = shop.bars(2, 3, 4, 5)
        horizon = shop.bars(1, 2)
        weights = [0.0] * lag + [1.0]
    else:
        horizon, window = shop.bars(1, 3), shop.bars(4, 6, 8)
        weights = [0.0] + [1.0] * window
    terms = {("x",): filtered(x, weights, horizon)}
    return _driven(shop, terms, {"x": x}, horizon, shop.ic(0.07, 0.10))


def _add_own_laws(shop: Workshop, made: Target, low: float, high: float) -> None:
    """Give some symbols a law of their own: of one feature for all of them, or of one feature each."""
    world, horizon = shop.world, made.horizon
    chosen = sorted(shop.rng.permutation(world.shape[0])[: min(SYMBOLS_ALONE, world.shape[0])].tolist())
    one_for_all = shop.rng.random() < 0.4
    phi = shop.pick(0.0, 0.5)
    drive, expected = np.zeros(world.shape), np.zeros(world.shape)
    for place, symbol in enumerate(chosen):
        name = "own0" if one_for_all else f"own{place}"
        x = shop.driver(name, phi)
        term = linear(x, phi, horizon)
        c = strength(term, horizon * (1.0 + MARKET_VARIANCE), shop.ic(low, high))
        c *= 1.0 if one_for_all else shop.pick(-1.0, 1.0)
        drive[symbol], expected[symbol] = c * term.bar[symbol], c * term.ahead[symbol]
        made.features.setdefault(f"{shop.tag}.{name}", x)
        made.true_by_symbol[symbol] = (f"{shop.tag}.{name}",)
    made.own_symbols = tuple(chosen)
    made.stream = made.stream + earlier(drive, 1)
    made.label = forward_sum(made.stream, horizon)
    made.expected = expected if made.expected is None else made.expected + expected


def symbol_only(shop: Workshop) -> Target:
    """Three symbols have laws, the others none."""
    made = noise(shop, shop.bars(1, 3, 6))
    _add_own_laws(shop, made, 0.14, 0.20)
    made.predictable, made.route = True, SYMBOL_SPECIFIC
    return made


def both(shop: Workshop) -> Target:
    """A law of all symbols, and beside it a law of their own in three."""
    made = _linear(shop, 2, (0.0, 0.5), shop.bars(1, 3, 6), shop.ic(0.07, 0.10))
    _add_own_laws(shop, made, 0.14, 0.20)
    made.route = BOTH
    return made


def legal_lag(shop: Workshop) -> Target:
    """Momentum or reversal: the label follows the one that just ended, and the data has that as a feature."""
    horizon, ic = shop.bars(1, 3, 6, 12), shop.ic(0.07, 0.10) * shop.pick(-1.0, 1.0)
    own, market = shop.noise()
    stream, ahead, _ = own_past(own, horizon, ic, horizon * SCATTER)
    total = stream + market
    label = forward_sum(total, horizon)
    past = earlier(np.nan_to_num(label), horizon)
    name = f"{shop.tag}.past"
    return Target(
        tag=shop.tag,
        kind=shop.kind,
        horizon=horizon,
        stream=total,
        label=label,
        expected=ahead,
        planted_ic=abs(ic),
        predictable=True,
        route=CROSS_SECTIONAL,
        features={name: past},
        true=(name,),
        legal_lags=(name,),
    )


def noise(shop: Workshop, horizon: int) -> Target:
    """Nothing that could be known."""
    own, market = shop.noise()
    stream = own + market
    return Target(
        tag=shop.tag, kind=shop.kind, horizon=horizon, stream=stream, label=forward_sum(stream, horizon)
    )


def short_noise(shop: Workshop) -> Target:
    """Noise of 1, 6 or 20 bars, with its own past as a feature that says nothing."""
    made = noise(shop, (1, 6, 20)[shop.world.seed % 3])
    name = f"{shop.tag}.past"
    made.features[name] = earlier(np.nan_to_num(made.label), made.horizon)
    made.legal_lags = (name,)
    return made


def long_noise(shop: Workshop) -> Target:
    """Noise whose labels overlap for 60 bars."""
    return noise(shop, 60)


def leak_only(shop: Workshop) -> Target:
    """Noise that only leaks know; with short_noise in the panel it is the same noise over another horizon."""
    other = next((made for made in shop.made.values() if made.kind == "short_noise"), None)
    horizon = {1: 6, 6: 12, 20: 8}[other.horizon] if other is not None else 6
    made = noise(shop, horizon)
    if other is not None:
        made.stream = other.stream
        made.label = forward_sum(made.stream, horizon)
        made.stream_of = other.tag
    return made


def decayed(shop: Workshop) -> Target:
    """A linear law that died in the last 30 to 35 % of the bars."""
    world = shop.world
    made = _linear(shop, 2, (0.0, 0.5, 0.8), shop.bars(1, 3, 6), shop.ic(0.08, 0.105))
    own, market = shop.noise()
    assert made.expected is not None
    dies = int(world.shape[1] * (1.0 - shop.ic(0.30, 0.35)))
    alive = world.calendar < dies
    made.stream = np.where(alive, made.stream, own + market)
    made.label = forward_sum(made.stream, made.horizon)
    made.expected = np.where(alive, made.expected, 0.0)
    made.predictable, made.route = False, BLOCKED
    return made


def degenerate(shop: Workshop) -> Target:
    """A constant, one class, hardly any values, one lonely event, or a few events that follow nothing."""
    made = noise(shop, 1)
    made.stream_of = ""  # what it hides is of no use to a leak
    form = shop.world.seed // 2 % 5
    present = np.isfinite(made.label)
    values = np.zeros(made.label.shape)
    if form == 1:
        values += 1.0
    elif form == 2:
        values = np.where(shop.rng.random(values.shape) < 60 / values.size, made.label, np.nan)
    elif form == 3:
        values[0, -values.shape[1] // 3] = 1.0
    elif form == 4:
        values = (shop.rng.random(values.shape) < 80 / values.size).astype(np.float64)
    made.label = np.where(present, values, np.nan)
    made.task = "binary" if form in {1, 3, 4} else "regression"
    return made


def volatility(shop: Workshop) -> Target:
    """The sum of coming absolute moves, whose size is persistent: strong and legal."""
    world, horizon = shop.world, shop.bars(3, 6, 12)
    own_size, market_size, phi, market_phi = 0.35, 0.25, 0.98, 0.97
    state = shop.driver("state", phi).astype(np.float64)
    mood = persistent(
        world.rng(shop.tag, "mood").standard_normal(world.shape[1], dtype=np.float32), market_phi
    )
    market = mood.astype(np.float64)[world.calendar]
    size = np.exp(own_size * state + market_size * market)
    moves = heavy(shop.rng, world.shape) * world.size
    stream = earlier(size, 1) * np.abs(moves)
    expected = np.zeros(world.shape)
    for step in range(horizon):
        own, common = own_size * phi**step, market_size * market_phi**step
        spread = own_size**2 + market_size**2 - own**2 - common**2
        expected += np.exp(own * state + common * market + spread / 2)
    names = {name: f"{shop.tag}.{name}" for name in ("state", "recent", "mood")}
    seen = state + 0.5 * world.rng(shop.tag, "seen").standard_normal(world.shape)
    return Target(
        tag=shop.tag,
        kind=shop.kind,
        horizon=horizon,
        stream=stream,
        label=forward_sum(stream, horizon),
        expected=expected,
        predictable=True,
        route=CROSS_SECTIONAL,
        features={names["state"]: seen, names["recent"]: trailing_mean(stream, 10), names["mood"]: market},
        true=(names["state"], names["recent"]),
    )


KINDS: Mapping[str, Callable[[Workshop], Target]] = {
    "strong_linear": strong_linear,
    "weak_linear": weak_linear,
    "binary": binary,
    "nonlinear": nonlinear,
    "product": interaction,
    "sequence": sequence,
    "symbol_only": symbol_only,
    "both": both,
    "legal_lag": legal_lag,
    "short_noise": short_noise,
    "long_noise": long_noise,
    "leak_only": leak_only,
    "decayed": decayed,
    "degenerate": degenerate,
    "volatility": volatility,
}


def usual_kinds(seed: int) -> tuple[str, ...]:
    """The 14 kinds of a panel: all, but degenerate and volatility in turn."""
    absent = ("degenerate", "volatility")[seed % 2]
    return tuple(kind for kind in KINDS if kind != absent)


def make_targets(world: World, kinds: Sequence[str]) -> list[Target]:
    """One target of each kind, in this order; a kind may come more than once."""
    made: dict[str, Target] = {}
    for place, kind in enumerate(kinds):
        tag = f"{kind}{kinds[:place].count(kind) or ''}"
        made[tag] = KINDS[kind](
            Workshop(world=world, tag=tag, kind=kind, rng=world.rng(tag), made=dict(made))
        )
    return list(made.values())
