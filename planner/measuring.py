"""Probes and skill through the cache: only what is not known yet is measured."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from threadpoolctl import threadpool_limits

from panel.aligned import Panel
from planner.cache import Cache
from planner.config import RankingConfig, config_document
from planner.probes import Probed, Probes, RankedFeatures, probe_target
from planner.size_path import PathPoint
from planner.skill import FoldView, Measured, Skill
from planner.walking import measure_targets

PROBE_VERSION = 2  # to be raised when a probe measures something else
SKILL_VERSION = 2  # to be raised when the measurement of skill changes

PROBES, SKILL = "probes", "skill"

_VECTORS = ("correlation", "ridge", "gain", "permutation", "information", "order")
_JUDGING_ONLY = ("false_discovery_rate", "min_recent_share")


def probes_of(
    panel: Panel, features: Sequence[str], cache: Cache, *, until: int, tell: Callable[[str], None]
) -> list[Probes]:
    """Return the leak probes of every target of the panel, by name; `tell` hears each target."""
    ranked: RankedFeatures | None = None
    found = []
    for column in sorted(panel.targets, key=lambda column: column.name):
        parts = {
            "version": PROBE_VERSION,
            "panel": panel.key,
            "target": column.name,
            "features": sorted(features),
            "until": until,
        }
        known = cache.find(PROBES, parts)
        if known is None:
            with _one_blas_thread():
                ranked = ranked or RankedFeatures(panel, features, until=until)
                measured = probe_target(panel, column, features, ranked, until=until)
            cache.keep(PROBES, parts, asdict(measured))
        else:
            measured = _probes_from(known)
        found.append(measured)
        tell(column.name)
    return found


def skills_of(
    panel: Panel,
    features_by_target: Mapping[str, Sequence[str]],
    config: RankingConfig,
    cache: Cache,
    *,
    until: int,
    seed: int,
    tell: Callable[[str], None],
) -> list[Measured]:
    """Return the measured skill of each target, by name; `tell` hears each target."""
    settings = {name: value for name, value in config_document(config).items() if name not in _JUDGING_ONLY}
    common = {
        "version": SKILL_VERSION,
        "lightgbm": version("lightgbm"),
        "panel": panel.key,
        "settings": settings,
        "until": until,
        "seed": seed,
    }
    parts = {
        target: {**common, "target": target, "features": sorted(features)}
        for target, features in features_by_target.items()
    }
    found: dict[str, Measured] = {}
    for target in sorted(features_by_target):
        known = cache.find(SKILL, parts[target])
        if known is not None:
            found[target] = _measured_from(known)
            tell(target)
    missing = {
        target: sorted(features) for target, features in features_by_target.items() if target not in found
    }
    with _one_blas_thread():
        for measured in measure_targets(panel, missing, config, until=until, seed=seed, tell=tell):
            cache.keep(SKILL, parts[measured.target], asdict(measured))
            found[measured.target] = measured
    return [found[target] for target in sorted(found)]


def _one_blas_thread() -> AbstractContextManager[object]:
    """Keep BLAS on one thread: for small matrices beside other work its waiting costs more than it gains."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _probes_from(record: Mapping[str, Any]) -> Probes:
    return Probes(
        target=record["target"],
        timestamps=record["timestamps"],
        pooled={name: Probed(**row) for name, row in record["pooled"].items()},
        alone={name: tuple(Probed(**row) for row in rows) for name, rows in record["alone"].items()},
        timestamps_alone=record["timestamps_alone"],
    )


def _measured_from(record: Mapping[str, Any]) -> Measured:
    return Measured(target=record["target"], cells=tuple(_skill_from(cell) for cell in record["cells"]))


def _skill_from(record: Mapping[str, Any]) -> Skill:
    folds = tuple(_fold_from(fold) for fold in record["folds"])
    twins = tuple((one, two, alike) for one, two, alike in record["twins"])
    path = tuple(PathPoint(**point) for point in record["path"])
    names = {name: tuple(record[name]) for name in ("features", "leading")}
    return Skill(**{**record, **names, "folds": folds, "twins": twins, "path": path})


def _fold_from(record: Mapping[str, Any]) -> FoldView:
    vectors: dict[str, Any] = {name: tuple(record[name]) for name in _VECTORS}
    return FoldView(**{**record, **vectors})
