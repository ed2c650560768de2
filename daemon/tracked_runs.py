"""What a fit is to a tracking server: name, parameters, tags, and metrics by step, from log and bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.tracking import ENDS
from daemon.views.curves import Curve, curve_of
from daemon.views.models import ModelTold, model_of
from store.errors import NotFound
from store.reading import Reader
from store.records import AttemptRow, EventRow, FitRow

STATUS = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
PREFIX = "trainwright."
EVENTS_MAX = 100_000  # of one fit

PARAMS_MAX, PARAM_LENGTH = 100, 500  # what servers take at once, and of each value
TAG_LENGTH, NAME_LENGTH = 4000, 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One value of one metric, at a step and a moment (milliseconds since the epoch, UTC)."""

    key: str
    value: float
    step: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """A fit that has ended, as a tracking server keeps it; the same fit gives the same run, always.

    Attributes:
        fit: its id; there is one run for each.
        ended: id of the event that ended it; a fit that was tried again ends with another one.
        name: of the run.
        status: FINISHED, FAILED or KILLED.
        params: what does not change from attempt to attempt.
        tags: all else that is no number, plan, job, fit and attempt among it.
        metrics: scores, and losses by step.
    """

    fit: str
    ended: str
    name: str
    status: str
    began_ms: int
    ended_ms: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: tuple[Measured, ...]


def run_of(reader: Reader, fit_id: str) -> TrackedRun | None:
    """Return a fit as a run; None while it has not ended, or where it was never begun."""
    try:
        fit = reader.fit(fit_id)
    except NotFound:  # of a plan that was retired since
        return None
    attempts = reader.attempts(fit.id)
    if fit.state not in STATUS or not attempts:
        return None
    end = _end(reader, fit)
    if end is None:
        return None
    began = attempts[-1].started_at or attempts[-1].claimed_at
    told = model_of(fit)
    return TrackedRun(
        fit=fit.id,
        ended=end.event_id,
        name=fit.name[:NAME_LENGTH],
        status=STATUS[fit.state],
        began_ms=_milliseconds(began),
        ended_ms=max(_milliseconds(end.at), _milliseconds(began)),
        params=_params(fit, told),
        tags={name: value[:TAG_LENGTH] for name, value in _tags(fit, attempts[-1], end, told).items()},
        metrics=tuple(_metrics(fit, curve_of(reader, fit.id), _milliseconds(began), _milliseconds(end.at))),
    )


def _end(reader: Reader, fit: FitRow) -> EventRow | None:
    """Return the event that ended the fit."""
    ends = reader.events(fit=fit.id, kinds=ENDS, limit=EVENTS_MAX)
    return ends[-1] if ends else None


def _params(fit: FitRow, told: ModelTold | None) -> dict[str, str]:
    own: dict[str, object] = {
        "family": fit.family,
        "target": fit.target,
        "symbol": fit.symbol or "all",
        "route": fit.route,
        "stage": fit.stage,
    }
    card = told.card if told is not None else {}
    if card:
        own |= {"task": card["task"], "seed": card["seed"], "horizon_bars": card["horizon_bars"]}
        own |= {"features": len(card["features"]), "panel": card["panel_key"]}
    found = {**card.get("params", {}), **own}
    return {name: str(found[name])[:PARAM_LENGTH] for name in list(found)[-PARAMS_MAX:]}


def _tags(fit: FitRow, attempt: AttemptRow, end: EventRow, told: ModelTold | None) -> dict[str, str]:
    metrics = fit.metrics or {}
    found: dict[str, object] = {
        "plan": fit.plan_id,
        "job": fit.job_id,
        "fit": fit.id,
        "attempt": attempt.attempt,
        "state": fit.state,
        "seq": end.seq,
        "host": attempt.worker.partition("/")[0],
        "device": fit.device_used,
        "log": attempt.log,
        "bundle": fit.bundle,
        "bundle_sha256": fit.bundle_sha256,
        "bundle_problem": told.problem if told is not None else None,
        "metric": metrics.get("metric"),
        "baseline": metrics.get("baseline"),
        "beats_baseline": metrics.get("beats_baseline"),
        "cause": fit.cause,
        "sentence": fit.sentence,
    }
    return {f"{PREFIX}{name}": str(value) for name, value in found.items() if value is not None}


def _metrics(fit: FitRow, curve: Curve, began_ms: int, ended_ms: int) -> Iterator[Measured]:
    """Yield the scores, then the losses; when each step was is guessed evenly, and the same every time."""
    numbers = {**(fit.metrics or {}), "seconds": fit.seconds}
    for key, value in numbers.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield Measured(key=key, value=float(value), step=0, at_ms=ended_ms)
    last = curve.steps[-1] if curve.steps else 1
    for key, values in (("train_loss", curve.train_loss), ("valid_loss", curve.valid_loss)):
        for step, loss in zip(curve.steps, values, strict=True):
            if loss is not None:
                at_ms = began_ms + round((ended_ms - began_ms) * step / last)
                yield Measured(key=key, value=loss, step=step, at_ms=at_ms)


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
