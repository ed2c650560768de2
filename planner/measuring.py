"""Probes and skill through the cache: only what is not known yet is measured."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from threadpoolctl import threadpool_limits

from panel.aligned import Panel
from panel.memory import give_back_memory
from planner.cache import Cache, fingerprint
from planner.config import RankingConfig, config_document
from planner.keys import target_key
from planner.probes import Probes, price_column, probe_targets, probes_from, stored_probes
from planner.size_path import PathPoint
from planner.skill import FoldView, Measured, Recent, Skill
from planner.walking import Advance, measure_targets

PROBE_VERSION = 4  # to be raised when a probe measures something else
SKILL_VERSION = 7  # to be raised when the measurement of skill changes

PROBES, SKILL = "probes", "skill"

_VECTORS = ("correlation", "ridge", "gain", "permutation", "information", "order")
# What judges the measurements, and how many are made at a time: none of it changes a number.
_JUDGING_ONLY = ("false_discovery_rate", "min_recent_share", "recent_z", "jobs")


def probes_of(
    panel: Panel, features: Sequence[str], cache: Cache, *, until: int, tell: Callable[[str], None]
) -> list[Probes]:
    """Return the leak probes of every target of the panel, by name; `tell` hears each target."""
    columns = sorted(panel.targets, key=lambda column: column.name)
    price = price_column(panel)
    parts = {
        column.name: {
            **target_key(panel, column, features),
            "order": list(features),
            "price": None if price is None else panel.digests[price],
            "version": PROBE_VERSION,
            "until": until,
        }
        for column in columns
    }
    found: dict[str, Probes] = {}
    for column in columns:
        known = cache.find_arrays(PROBES, parts[column.name])
        if known is not None:
            found[column.name] = probes_from(known)
            tell(column.name)
    missing = [column for column in columns if column.name not in found]
    with _one_blas_thread():
        for probes in probe_targets(panel, missing, features, until=until):
            cache.keep_arrays(PROBES, parts[probes.target], stored_probes(probes))
            found[probes.target] = probes
            tell(probes.target)
    if missing:
        panel.let_go()
        give_back_memory()
    return [found[name] for name in sorted(found)]


def skills_of(
    panel: Panel,
    features_by_target: Mapping[str, Sequence[str]],
    config: RankingConfig,
    cache: Cache,
    *,
    until: int,
    seed: int,
    advance: Advance,
) -> list[Measured]:
    """Return the measured skill of each target, by name; `advance` hears words and the share of work done."""
    settings = {name: value for name, value in config_document(config).items() if name not in _JUDGING_ONLY}
    names = sorted({name for own in features_by_target.values() for name in own})
    common = {
        "version": SKILL_VERSION,
        "lightgbm": version("lightgbm"),
        "settings": settings,
        "until": until,
        "seed": seed,
        "among": fingerprint(names),  # the last digit of a product of matrices depends on their width
    }
    parts = {
        target: {**common, **target_key(panel, panel.column(target), features)}
        for target, features in features_by_target.items()
    }
    found: dict[str, Measured] = {}
    for target in sorted(features_by_target):
        known = cache.find(SKILL, parts[target])
        if known is not None:
            found[target] = _measured_from(known)
    missing = {
        target: sorted(features) for target, features in features_by_target.items() if target not in found
    }
    with _one_blas_thread():
        for measured in measure_targets(
            panel,
            missing,
            config,
            until=until,
            seed=seed,
            advance=advance,
            names=names,
        ):
            cache.keep(SKILL, parts[measured.target], asdict(measured))
            found[measured.target] = measured
    return [found[target] for target in sorted(found)]


def _one_blas_thread() -> AbstractContextManager[object]:
    """Keep BLAS on one thread: for small matrices beside other work its waiting costs more than it gains."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _measured_from(record: Mapping[str, Any]) -> Measured:
    return Measured(target=record["target"], cells=tuple(_skill_from(cell) for cell in record["cells"]))


def _skill_from(record: Mapping[str, Any]) -> Skill:
    folds = tuple(_fold_from(fold) for fold in record["folds"])
    twins = tuple((one, two, alike) for one, two, alike in record["twins"])
    path = tuple(PathPoint(**point) for point in record["path"])
    recent = tuple(Recent(**one) for one in record["recent"])
    names = {name: tuple(record[name]) for name in ("features", "leading", "deviating")}
    return Skill(**{**record, **names, "folds": folds, "twins": twins, "path": path, "recent": recent})


def _fold_from(record: Mapping[str, Any]) -> FoldView:
    vectors: dict[str, Any] = {name: tuple(record[name]) for name in _VECTORS}
    return FoldView(**{**record, **vectors})
