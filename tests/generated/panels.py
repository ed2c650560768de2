"""Panels of known truth: ``generate(seed)`` makes one, ``write`` its files, ``panel_of`` the aligned panel.

    made = generate(7)                       # 12 symbols x 8,000 bars x 120 features x 14 targets
    data_dir = write(made, folder / "data")
    made.truth.horizons                      # what [data] horizons must say, for the names say nothing

Names are neutral (f_000, y_00, S00) and dealt at random, so no order of columns helps. The same arguments
give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from generated.fillers import make_fillers, make_shadows
from generated.leaks import LEAK_KINDS, Leak, make_leaks
from generated.targets import Target, make_targets, usual_kinds
from generated.truth import LeakTruth, TargetTruth, Truth, oracle_by_symbol, oracle_ic
from generated.world import Float32s, Ints, World, make_world

from panel.aligned import Panel
from panel.prepare import prepare_panel

SHADOWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """One panel: `times[symbol]` (rows,) int64 UTC ns, `values[symbol]` (columns, rows) float32."""

    interval: str
    names: tuple[str, ...]
    times: Mapping[str, Ints]
    values: Mapping[str, Float32s]
    truth: Truth

    def column(self, symbol: str, name: str) -> Float32s:
        """One column of one symbol, (rows,)."""
        return self.values[symbol][self.names.index(name)]

    def frame(self, symbol: str) -> pd.DataFrame:
        """One symbol as a frame with its time in `ts`."""
        moments = pd.to_datetime(self.times[symbol], utc=True)
        return pd.DataFrame({"ts": moments, **dict(zip(self.names, self.values[symbol], strict=True))})


def generate(
    seed: int,
    *,
    symbols: int = 12,
    bars: int = 8_000,
    features: int = 120,
    interval: str = "daily",
    clustered: bool = False,
    kinds: Sequence[str] | None = None,
    leaks: Sequence[str] | None = None,
) -> Generated:
    """Make a panel of `kinds` of targets (default: the usual 14) with one leak of each of the kinds `leaks`.

    `interval` is "daily" or "5m". `clustered`: wild and quiet times take turns, in labels and in the features
    that say nothing alike.

    Raises:
        ValueError: the targets and leaks need more features than asked for.
    """
    world = make_world(seed, symbols=symbols, bars=bars, interval=interval, clustered=clustered)
    targets = make_targets(world, usual_kinds(seed) if kinds is None else kinds)
    planted = make_leaks(world, targets, tuple(LEAK_KINDS) if leaks is None else leaks)
    drivers = {tag: values for target in targets for tag, values in target.features.items()}
    room = features - len(drivers) - len(planted)
    if room < 0:
        raise ValueError(f"{features} features are too few: {len(drivers)} true and {len(planted)} leaking")
    shadows = make_shadows(world, drivers, min(SHADOWS, room))
    columns: dict[str, np.ndarray] = {
        **drivers,
        **{leak.tag: leak.values for leak in planted},
        **{tag: values for tag, (_, values) in shadows.items()},
        **make_fillers(world, room - len(shadows)),
    }
    feature_names = _dealt(world, list(columns), "f", 3)
    target_names = _dealt(world, [target.tag for target in targets], "y", 2)
    table = {feature_names[tag]: values for tag, values in columns.items()}
    _dirty(world, table)
    table |= {target_names[target.tag]: target.label for target in targets}
    _missing_labels(world, table, target_names.values())
    names = tuple(sorted(table))
    return Generated(
        interval=interval,
        names=names,
        times={
            symbol: world.timestamps[world.calendar[place, world.own(place)]]
            for place, symbol in enumerate(world.symbols)
        },
        values={
            symbol: np.stack([table[name][place, world.own(place)] for name in names]).astype(np.float32)
            for place, symbol in enumerate(world.symbols)
        },
        truth=Truth(
            seed=seed,
            symbols=world.symbols,
            features=tuple(sorted(feature_names.values())),
            targets=tuple(
                sorted(
                    (_target_truth(world, target, target_names, feature_names) for target in targets),
                    key=lambda truth: truth.name,
                )
            ),
            leaks=_leak_truths(planted, targets, feature_names, target_names),
            shadows={feature_names[tag]: feature_names[true] for tag, (true, _) in shadows.items()},
            legal_lags={
                feature_names[tag]: target_names[target.tag]
                for target in targets
                for tag in target.legal_lags
            },
        ),
    )


def _dealt(world: World, tags: Sequence[str], letter: str, digits: int) -> dict[str, str]:
    """A neutral name for each tag, dealt at random."""
    order = world.rng("names", letter).permutation(len(tags)).tolist()
    return {tag: f"{letter}_{place:0{digits}d}" for tag, place in zip(tags, order, strict=True)}


def _dirty(world: World, table: dict[str, np.ndarray]) -> None:
    """Missing values in every second feature, many in a few, some infinite ones."""
    rng = world.rng("dirt")
    for place, name in enumerate(sorted(table)):
        share = float(rng.choice([0.0, 0.0, 0.005, 0.02]))
        if place % 40 == 39:
            share = 0.3
        if share:
            count = int(share * table[name].size)
            holes = rng.integers(0, table[name].size, size=count)
            values = table[name].astype(np.float32)
            values.reshape(-1)[holes] = np.nan
            values.reshape(-1)[holes[: count // 200]] = np.inf
            table[name] = values


def _missing_labels(world: World, table: dict[str, np.ndarray], names: Iterable[str]) -> None:
    for name in names:
        holes = world.rng("holes", name).random(table[name].shape) < 0.001
        table[name] = np.where(holes, np.nan, table[name])


def _target_truth(
    world: World, target: Target, names: Mapping[str, str], features: Mapping[str, str]
) -> TargetTruth:
    known = target.expected is not None
    by_symbol = oracle_by_symbol(world, target.expected, target.label) if target.expected is not None else {}
    measured = oracle_ic(world, target.expected, target.label) if target.expected is not None else None
    return TargetTruth(
        name=names[target.tag],
        kind=target.kind,
        task=target.task,
        horizon_bars=target.horizon,
        predictable=target.predictable and known,
        route=target.route,
        planted_ic=target.planted_ic,
        oracle_ic=None if measured is None else round(measured, 5),
        oracle_by_symbol=by_symbol,
        own_symbols=tuple(world.symbols[place] for place in target.own_symbols),
        features=tuple(features[tag] for tag in target.true),
        features_by_symbol={
            world.symbols[place]: tuple(features[tag] for tag in tags)
            for place, tags in target.true_by_symbol.items()
        },
    )


def _leak_truths(
    planted: Sequence[Leak],
    targets: Sequence[Target],
    features: Mapping[str, str],
    names: Mapping[str, str],
) -> tuple[LeakTruth, ...]:
    stream = {target.tag: target.stream_of or target.tag for target in targets}
    return tuple(
        LeakTruth(
            feature=features[leak.tag],
            kind=leak.kind,
            target=names[leak.target],
            also=tuple(
                names[tag] for tag in stream if tag != leak.target and stream[tag] == stream[leak.target]
            ),
        )
        for leak in planted
    )


def write(made: Generated, folder: Path) -> Path:
    """Write FOLDER/symbol=X/X.parquet for every symbol; returns the folder."""
    for symbol, times in made.times.items():
        place = folder / f"symbol={symbol}"
        place.mkdir(parents=True, exist_ok=True)
        columns = [pa.array(times, type=pa.timestamp("ns", tz="UTC")), *map(pa.array, made.values[symbol])]
        table = pa.Table.from_arrays(columns, names=["ts", *made.names])
        pq.write_table(
            table,
            place / f"{symbol}.parquet",
            compression="none",
            use_dictionary=False,
            write_statistics=False,
        )
    return folder


def panel_of(made: Generated, folder: Path) -> Panel:
    """Write the panel under `folder` and prepare it."""
    data_dir = write(made, folder / "data")
    return prepare_panel(data_dir, symbols=None, cache_dir=folder / "cache", horizons=made.truth.horizons)
