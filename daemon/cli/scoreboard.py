"""The table of models: out-of-sample score and its error beside a naive forecast, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.cli.screen import table
from daemon.views.fits import verdict
from store.records import FitRow

HEADERS = ("model", "family", "device", "metric", "score", "naive", "vs mean", "worth")


def scoreboard(fits: Iterable[FitRow]) -> str:
    """One line per fit: trained ones by score, then those without a model and why."""
    ordered = sorted(fits, key=lambda fit: (fit.job_id, -_skill(fit), fit.family))
    return table(HEADERS, [_line(fit) for fit in ordered], right=("score", "naive", "vs mean"))


def _skill(fit: FitRow) -> float:
    return float((fit.metrics or {}).get("skill") or 0.0)


def _line(fit: FitRow) -> tuple[object, ...]:
    metrics = fit.metrics
    if metrics is None:
        return (fit.job_id, fit.family, "-", "-", "-", "-", "-", _without_model(fit))
    return (
        fit.job_id,
        fit.family,
        fit.device_used or "-",
        metrics["metric"],
        f"{metrics['score']:+.3f} ± {metrics['standard_error']:.3f}",
        f"{metrics['baseline_score']:+.3f}",
        f"{100 * metrics['error_reduction']:+.1f}%",
        verdict(metrics),
    )


def _without_model(fit: FitRow) -> str:
    return f"{fit.state}: {fit.sentence}" if fit.sentence else fit.state
