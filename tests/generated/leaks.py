"""Features that know the future of a target, one of each kind in a panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from generated.targets import Target
from generated.world import Floats, World, earlier

Recipe = Callable[[Target, np.random.Generator], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One leaking feature under construction."""

    tag: str
    kind: str
    target: str
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    make: Recipe
    horizons: tuple[int, int] = (1, 60)  # of the targets it is made from
    classes: bool = False  # makes sense for classes as well


def _spread(values: Floats) -> float:
    return float(np.nanstd(values))


def _noise(rng: np.random.Generator, target: Target) -> Floats:
    return rng.standard_normal(target.label.shape)


def _later(stream: Floats, by: int) -> Floats:
    moved = np.full(stream.shape, np.nan)
    moved[:, : stream.shape[1] - by] = stream[:, by:]
    return moved


def _coming(target: Target, first: int, last: int) -> Floats:
    """Sum of the stream's rows t+first .. t+last; `first` may lie in the past."""
    steps = [
        _later(target.stream, step) if step >= 0 else earlier(target.stream, -step)
        for step in range(first, last + 1)
    ]
    return np.asarray(np.sum(steps, axis=0))


def _copy(target: Target, rng: np.random.Generator) -> Floats:
    return target.label * 1.0


def _scaled(target: Target, rng: np.random.Generator) -> Floats:
    return 2.0 - 3.7 * target.label


def _near_copy(target: Target, rng: np.random.Generator) -> Floats:
    return target.label + 1e-3 * _spread(target.label) * _noise(rng, target)


def _monotone(target: Target, rng: np.random.Generator) -> Floats:
    scaled = target.label / _spread(target.label)
    return np.cbrt(scaled) if rng.random() < 0.5 else np.exp(np.clip(scaled, -8, 8))


def _next_bar(target: Target, rng: np.random.Generator) -> Floats:
    following = _coming(target, 1, 1)
    return following + 0.3 * _spread(following) * _noise(rng, target)


def _half_window(target: Target, rng: np.random.Generator) -> Floats:
    half = _coming(target, 1, target.horizon // 2)
    return half + 0.2 * _spread(half) * _noise(rng, target)


def _overlap(target: Target, rng: np.random.Generator) -> Floats:
    """The label shifted by less than its horizon: part of what it sums is still to come."""
    shift = int(rng.integers(max(1, target.horizon // 4), max(2, 3 * target.horizon // 4 + 1)))
    moved = earlier(np.nan_to_num(target.label), shift)
    moved[:, :shift] = np.nan
    return moved


def _centred(target: Target, rng: np.random.Generator) -> Floats:
    reach = int(rng.integers(2, 7))
    return _coming(target, -reach, reach) / (2 * reach + 1)


def _partial(target: Target, rng: np.random.Generator) -> Floats:
    """A copy in a share of the rows, the same distribution at random in the others."""
    share = rng.uniform(0.08, 0.3)
    shuffled = rng.permuted(np.nan_to_num(target.label), axis=1)
    return np.where(rng.random(target.label.shape) < share, target.label, shuffled)


def _stealth(target: Target, rng: np.random.Generator) -> Floats:
    """A weak mixture: correlation 0.2 to 0.35 with the coming label, the rest noise."""
    weight = rng.uniform(0.2, 0.35)
    return weight * target.label / _spread(target.label) + np.sqrt(1 - weight**2) * _noise(rng, target)


LEAK_KINDS: Mapping[str, _Kind] = {
    "copy": _Kind(make=_copy, classes=True),
    "scaled_copy": _Kind(make=_scaled),
    "near_copy": _Kind(make=_near_copy),
    "monotone": _Kind(make=_monotone),
    "next_bar": _Kind(make=_next_bar, horizons=(1, 20), classes=True),
    "half_window": _Kind(make=_half_window, horizons=(3, 60), classes=True),
    "overlap": _Kind(make=_overlap, horizons=(3, 60)),
    "centred": _Kind(make=_centred, classes=True),
    "partial": _Kind(make=_partial),
    "stealth": _Kind(make=_stealth, horizons=(1, 20)),
}


def make_leaks(world: World, targets: Sequence[Target], kinds: Sequence[str]) -> list[Leak]:
    """One leak of each kind that finds a target it can be made from; leak_only gets the first three."""
    rng = world.rng("leaks")
    made = []
    for place in rng.permutation(len(kinds)).tolist():
        kind = kinds[place]
        known = LEAK_KINDS[kind]
        hosts = [target for target in targets if _can_host(target, known)]
        alone = [target for target in hosts if target.kind == "leak_only"]
        if alone and len(made) < 3:
            hosts = alone
        if hosts:
            host = hosts[int(rng.integers(len(hosts)))]
            values = known.make(host, world.rng("leak", kind))
            made.append(Leak(tag=f"leak.{kind}", kind=kind, target=host.tag, values=values))
    return made


def _can_host(target: Target, kind: _Kind) -> bool:
    low, high = kind.horizons
    usable = target.kind not in {"degenerate", "volatility"} and low <= target.horizon <= high
    return usable and (kind.classes or target.task == "regression")
