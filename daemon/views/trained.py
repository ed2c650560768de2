"""What was trained and how good it is, from the log alone."""

from __future__ import annotations

import re
from typing import Any

from daemon.views.fits import verdict
from store.records import EventRow, FitRow

ALIAS = re.compile(r"(?!f_)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # no name of a model looks like the id of a fit


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


def promotion_document(event: EventRow) -> dict[str, Any]:
    """Return a name that a model was given for programs: since when, by whom, why."""
    return {"at": event.at, "actor": event.actor, "seq": event.seq, **event.data}
