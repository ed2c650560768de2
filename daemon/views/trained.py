"""What was trained and how good it is, from the log alone."""

from __future__ import annotations

from typing import Any

from daemon.views.fits import verdict
from store.records import FitRow


def model_summary(fit: FitRow) -> dict[str, Any]:
    """Return a trained fit for programs: what it is, where its bundle lies, and how good it is."""
    return {
        "name": fit.name,
        "fit": fit.id,
        "plan": fit.plan_id,
        "target": fit.target,
        "symbol": fit.symbol,
        "family": fit.family,
        "device": fit.device_used,
        "seconds": fit.seconds,
        "bundle": fit.bundle,
        "sha256": fit.bundle_sha256,
        "metrics": fit.metrics,
        "verdict": None if fit.metrics is None else verdict(fit.metrics),
    }
