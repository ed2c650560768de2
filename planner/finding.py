"""From screens to laws: what was found in each view of a target, how sure it is, and whose law it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from planner.products import Product, screen_products
from planner.scores import Axis, Channel
from planner.screens import LAGS, WINDOWS, Screened, Sums, screen
from planner.shift_null import benjamini_hochberg
from planner.spectra import of_many, two_sided

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

RANK, FOLDED, PRODUCT, LAG = "rank", "folded", "product", "lag"

# Shares of the error that the families of screens may spend together: plain laws are the likely ones.
_SHARES = {RANK: 0.5, FOLDED: 0.15, PRODUCT: 0.175, LAG: 0.175}
_LEADING_Z = 4.0
_MOST_LEADING = 5
_OWN_SHARE = 0.5  # a symbol's law is its own when it differs by so much of the common one
_OWN_RATE = 0.01
_REST_FEATURES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """What the screens say of one (target, view, symbol).

    `p` is corrected for everything looked at (`tests`); `by_family` holds the p-value of each family of
    screens, corrected within it. `sign` is that of the leading relation; `bars` how old the leading value is
    (lag) or how many bars it sums (`window` true).
    """

    found_by: str
    leading: tuple[str, ...]
    z: float
    sign: int
    p: float
    tests: int
    by_family: Mapping[str, float]
    bars: int | None = None
    window: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How much a symbol's law differs from that of the rest, at the feature where it differs most clearly."""

    feature: str
    z: float
    p: float
    own: float  # correlation within the symbol
    rest: float  # of all others


@dataclass(frozen=True, slots=True, kw_only=True)
class Laws:
    """All that the screens say of one target; `rest` is the pooled law without the `deviating` symbols."""

    pooled: Law | None
    alone: Mapping[str, Law]
    deviations: Mapping[str, Deviation]
    deviating: tuple[str, ...]
    rest: Law | None = None


def find_laws(
    screened: Screened, products: Sequence[Sequence[Product]], places: Sequence[int], usable: Mask
) -> Laws:
    """Read the laws of one target off its channels (`places`); `usable` (features,) hides leaks."""
    names = np.array(screened.features)[usable]
    pooled = None
    if len(screened.symbols) > 1:
        pairs = [pair for place in places for pair in products[place]]
        pooled = _law(_masked(screened.pooled, usable, places), names, screened, pairs)
    alone = {
        symbol: _law(_masked(screened.alone, usable, places, symbol=number), names, screened, None)
        for number, symbol in enumerate(screened.symbols[: len(screened.alone.rank)])
        if screened.present[number, list(places)].sum()
    }
    deviations = _deviations(screened, places, usable) if len(screened.symbols) > 1 else {}
    q = benjamini_hochberg([one.p for one in deviations.values()])
    return Laws(
        pooled=pooled,
        alone={symbol: law for symbol, law in alone.items() if law is not None},
        deviations=deviations,
        deviating=tuple(symbol for symbol, one in zip(deviations, q, strict=True) if one <= _OWN_RATE),
    )


def with_rest(laws: Laws, screened: Screened, axis: Axis, places: Sequence[int], usable: Mask) -> Laws:
    """Screen the symbols that do not deviate by themselves: is there a common law without the others?

    Only the features that lead the pooled screens are looked at again, and paid for as if all had been.
    """
    kept = [number for number, symbol in enumerate(screened.symbols) if symbol not in laws.deviating]
    if laws.pooled is None or not laws.deviating or len(kept) < 2:
        return laws
    strength = np.abs(screened.pooled.rank[:, list(places)]).max(axis=1)
    strength = np.maximum(strength, np.abs(screened.pooled.fold[:, list(places)]).max(axis=1))
    strength = np.maximum(strength, np.abs(screened.pooled.lag[:, list(places)]).max(axis=(1, 2)))
    strength[[name in laws.pooled.leading for name in screened.features]] = np.inf
    strength[~usable] = -1.0
    looked = np.sort(np.argsort(-strength, kind="stable")[:_REST_FEATURES])
    looked = looked[usable[looked]]
    smaller = replace(
        axis,
        rows=tuple(axis.rows[number] for number in kept),
        codes=tuple(axis.codes[number] for number in kept),
    )
    names = [screened.features[place] for place in looked]
    again = screen(smaller, names, [screened.channels[place] for place in places], by_symbol=False)
    paid = int(usable.sum()) / max(1, len(names))
    every, all_of_them = list(range(len(places))), np.ones((len(names), len(places)), dtype=bool)
    pairs = [pair for found in screen_products(again, all_of_them) for pair in found]
    table = _masked(again.pooled, all_of_them[:, 0], every)
    return replace(laws, rest=_law(table, np.array(names), again, pairs, paid))


def _masked(sums: Sums, usable: Mask, places: Sequence[int], symbol: int | None = None) -> Sums:
    arrays = (getattr(sums, name) for name in ("rank", "fold", "lag", "correlation", "inflation"))
    chosen = (array if symbol is None else array[symbol] for array in arrays)
    return Sums(*(array[usable][:, list(places)] for array in chosen))


def _law(
    sums: Sums,
    names: npt.NDArray[np.str_],
    screened: Screened,
    pairs: Sequence[Product] | None,
    paid: float = 1.0,
) -> Law | None:
    """The clearest law among the families of screens; None when nothing could be screened."""
    count, channels = sums.rank.shape
    if not count or not np.any(sums.rank):
        return None
    tests = {
        RANK: int(count * channels * paid),
        FOLDED: int(count * channels * paid),
        LAG: int(sums.lag.size * paid),
    }
    best = {RANK: _largest(sums.rank), FOLDED: _largest(sums.fold), LAG: _largest(sums.lag)}
    if pairs:
        tests[PRODUCT] = int(channels * count * (count + 1) / 2 * paid**2)
        best[PRODUCT] = max(abs(pair.z) for pair in pairs)
    by_family = {name: of_many(float(two_sided(best[name])), tests[name]) for name in tests}
    found = min(tests, key=lambda name: by_family[name] / _SHARES[name])
    law = Law(
        found_by=found,
        leading=(),
        z=0.0,
        sign=1,
        p=min(1.0, by_family[found] / _SHARES[found]),
        tests=sum(tests.values()),
        by_family=by_family,
    )
    if found == PRODUCT and pairs:
        top = max(pairs, key=lambda pair: abs(pair.z))
        both = dict.fromkeys((screened.features[top.first], screened.features[top.second]))
        return replace(law, leading=tuple(both), z=top.z, sign=_sign(top.z))
    return _led(law, sums, names)


def _led(law: Law, sums: Sums, names: npt.NDArray[np.str_]) -> Law:
    """Name the features that lead, the sign of the first, and how old its value is."""
    table = {RANK: sums.rank, FOLDED: sums.fold, LAG: sums.lag.reshape(*sums.lag.shape[:1], -1)}[law.found_by]
    size = np.abs(table).max(axis=1)
    order = [place for place in np.argsort(-size, kind="stable") if size[place] >= _LEADING_Z] or [
        int(size.argmax())
    ]
    first = int(order[0])
    column = int(np.abs(table[first]).argmax())
    z = float(table[first, column])
    led = replace(
        law, leading=tuple(str(names[place]) for place in order[:_MOST_LEADING]), z=z, sign=_sign(z)
    )
    if law.found_by != LAG:
        return led
    step = column % (len(LAGS) + len(WINDOWS))
    if step < len(LAGS):
        return replace(led, bars=LAGS[step])
    return replace(led, bars=WINDOWS[step - len(LAGS)], window=True)


def _deviations(screened: Screened, places: Sequence[int], usable: Mask) -> dict[str, Deviation]:
    """The clearest material difference of each symbol, paid for by all features."""
    found = {}
    names = np.array(screened.features)[usable]
    for number, symbol in enumerate(screened.symbols[: len(screened.own.z)]):
        if not len(names) or not screened.present[number, list(places)].any():
            continue
        z = screened.own.z[number][usable][:, list(places)]
        gap = screened.own.gap[number][usable][:, list(places)]
        rest = screened.own.rest[number][usable][:, list(places)]
        alone = screened.own.own_z[number][usable][:, list(places)]
        # A law of its own, not the lack of the common one: the symbol's correlation is the larger of the two.
        mine = (np.abs(gap + rest) >= np.abs(rest)) & (np.abs(gap) >= _OWN_SHARE * np.abs(rest))
        material = np.where(mine, np.minimum(np.abs(z), np.abs(alone)), 0.0)
        feature, channel = np.unravel_index(int(material.argmax()), material.shape)
        found[symbol] = Deviation(
            feature=str(names[feature]),
            z=float(z[feature, channel]),
            p=of_many(float(two_sided(material[feature, channel])), material.size),
            own=float(gap[feature, channel] + rest[feature, channel]),
            rest=float(rest[feature, channel]),
        )
    return found


def channel_places(channels: Sequence[Channel]) -> dict[str, list[int]]:
    """Return the places of each target's channels."""
    places: dict[str, list[int]] = {}
    for place, channel in enumerate(channels):
        places.setdefault(channel.target, []).append(place)
    return places


def _largest(z: Floats) -> float:
    return float(np.abs(z).max(initial=0.0))


def _sign(z: float) -> int:
    return 1 if z >= 0 else -1
