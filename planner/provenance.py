"""Where a plan comes from: fingerprints of data and settings, and what every fit of it is told."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from panel.aligned import Panel
from planner.cache import fingerprint
from planner.candidates import Provenance
from planner.config import PlannerConfig, config_document
from planner.request import PlanRequest


def code_version() -> str:
    """Return the installed version of the product, or `source` in a bare checkout."""
    try:
        return version("trainwright")
    except PackageNotFoundError:
        return "source"


def config_hash(config: PlannerConfig, seed: int) -> str:
    """Return 16 hex digits of all settings and the seed."""
    return fingerprint({"config": config_document(config), "seed": seed})[:16]


def provenance_of(request: PlanRequest, panel: Panel) -> Provenance:
    """Return what each candidate row says of its origin."""
    return Provenance(
        panel_key=panel.key,
        config_hash=config_hash(request.config, request.seed),
        code_version=code_version(),
        seed=request.seed,
    )


def plan_provenance(request: PlanRequest, panel: Panel) -> dict[str, Any]:
    """Return the metadata of both plans: fingerprints, all settings, the request, data and training."""
    hashed = config_hash(request.config, request.seed)
    return {
        "config_hash": hashed,
        "code_version": code_version(),
        "fingerprints": {"panel": panel.key, "config": hashed},
        "seed": request.seed,
        "settings": config_document(request.config),
        "request": request_settings(request),
        "training": training_settings(request.config, request.seed),
        "data": data_settings(request.data_dir, panel, request.config),
    }


def request_settings(request: PlanRequest) -> dict[str, Any]:
    """Return what was asked for beside data, families and settings, so that it can be asked again.

    Names are in their own order: the order they were given in changes nothing.
    """
    return {
        "symbols": None if request.symbols is None else sorted(request.symbols),
        "targets": None if request.targets is None else sorted(request.targets),
        "features": None if request.features is None else sorted(request.features),
        "auto_targets": request.auto_targets,
        "auto_features": request.auto_features,
        "top_n_targets": request.top_n_targets,
    }


def training_settings(config: PlannerConfig, seed: int) -> dict[str, Any]:
    """Return what every fit is told: shares of the holdout, embargo, seed, parameters by family."""
    return {
        "seed": seed,
        "test_share": config.data.test_share,
        "valid_share": config.training.valid_share,
        "embargo_bars": config.training.embargo_bars,
        "stage_barrier": config.training.stage_barrier,
        "params": {family: dict(values) for family, values in sorted(config.training.params.items())},
    }


def data_settings(data_dir: Path, panel: Panel, config: PlannerConfig) -> dict[str, Any]:
    """Return how to find and read the same data again; the directory is absolute."""
    return {
        "data_dir": str(data_dir.absolute()),
        "symbols": list(panel.symbols),
        "target_patterns": list(config.data.target_patterns),
        "horizons": dict(sorted(config.data.horizons.items())),
        "interval": config.data.interval,
        "interval_ns": panel.interval_ns,
    }
