"""A fit in words and as a JSON document, the same in all reading commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from store.ids import host_of
from store.reasons import WaitingReason
from store.records import FitRow

OPEN_STATES = ("ready", "claimed", "running")
AT_WORK = ("claimed", "running")
_FIELDS = tuple(field.name for field in dataclasses.fields(FitRow))


def fit_document(fit: FitRow, reason: WaitingReason | None) -> dict[str, Any]:
    """One fit as a JSON document, with the reason why it waits."""
    waiting = None if reason is None else {"code": reason.code, "words": reason.words}
    values = {name: getattr(fit, name) for name in _FIELDS}  # asdict copies each value, far too slow here
    values["awaits"] = [dataclasses.asdict(group) for group in fit.awaits]
    return {"name": fit.name, **values, "waiting": waiting}


def step_words(fit: FitRow) -> str:
    """How far an open fit has come, ``120/400``; a dash for one that has not begun or has ended."""
    if fit.step is None or fit.state not in OPEN_STATES:
        return "-"
    return f"{max(fit.step, fit.checkpoint_step or 0)}/{fit.steps_total}"


def score_words(fit: FitRow) -> str:
    """Metric, score and standard error on the untouched rows; a dash for what has none, or none on record."""
    metrics = fit.metrics
    if metrics is None or not metrics.keys() >= {"metric", "score", "standard_error"}:
        return "-"
    return f"{metrics['metric']} {metrics['score']:+.3f} ± {metrics['standard_error']:.3f}"


def note_words(fit: FitRow, reason: WaitingReason | None, *, of_several: bool = False) -> str:
    """What else there is to say: why it waits, why it failed, why it did not train on a GPU.

    Where `of_several` hosts it may be on any, the one that is at it is named.
    """
    if reason is not None:
        return f"{reason.code}: {reason.words}"
    where = f"on {host_of(fit.worker)}" if of_several and fit.worker and fit.state in AT_WORK else ""
    if fit.stage == "gpu" and fit.device_used == "cpu":
        return f"{where}{', ' if where else ''}ran on the CPU: {fit.device_reason}"
    return where or fit.sentence or ""


def verdict(metrics: Mapping[str, Any]) -> str:
    """What a score is worth, in words that do not flatter; "not known" where an older log is silent."""
    if not metrics.keys() >= {"beats_no_skill", "beats_baseline"}:
        return "not known"
    if not metrics["beats_no_skill"]:
        return "no skill"
    return "better than naive" if metrics["beats_baseline"] else "skill, not surely above naive"
