"""The pictures of a saved model: what it leans on, whether it means what it says, how it did over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from daemon.pictures import Estimate, bars, calibration, periods
from daemon.views.models import ModelTold
from daemon.views.words import number

IMPORTANCES_SHOWN = 15


def model_pictures(model: ModelTold) -> list[tuple[str, Markup, str]]:
    """Return title, picture and a word beside each picture that there is something for."""
    found = [_importances(model), *_calibration(model.evaluation), _periods(model.evaluation)]
    return [(title, picture, words) for title, picture, words in found if picture]


def _importances(model: ModelTold) -> tuple[str, Markup, str]:
    rows = [(one.feature, one.share, None) for one in model.importances]
    picture = bars(rows, label="importances", limit=IMPORTANCES_SHOWN)
    return "Importances", picture, f"share of the whole, by {model.importance_method.replace('_', ' ')}"


def _calibration(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, Markup, str]]:
    told = evaluation.get("calibration") or {}
    groups = told.get("classes") or ([told] if told.get("bins") else [])
    for place, group in enumerate(groups[:3]):
        rows = [(one["predicted"], one["observed"], one["rows"]) for one in group.get("bins", ())]
        title = "Calibration" if len(groups) == 1 else f"Calibration, class {place}"
        yield title, calibration(rows), _calibration_words(told)


def _calibration_words(told: Mapping[str, Any]) -> str:
    if told.get("kind") == "regression":
        slope = told.get("slope")
        return "" if slope is None else f"slope {slope:.2f} (1 is right), bias {number(told.get('bias'))}"
    gap = told.get("expected_calibration_error")
    return "" if gap is None else f"mean gap {gap:.3f}; by chance {told.get('gap_by_chance', 0.0):.3f}"


def _periods(evaluation: Mapping[str, Any]) -> tuple[str, Markup, str]:
    rows = [
        Estimate(label=str(one["from"])[:10], value=one["score"], low=one["low"], high=one["high"])
        for one in evaluation.get("by_period", ())
    ]
    metric = next((str(one["metric"]) for one in evaluation.get("by_period", ())), "")
    return "Score by period", periods(rows), metric
