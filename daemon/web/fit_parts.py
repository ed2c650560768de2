"""One fit, whole: how it stands and why, its curve, attempts, log and model; drawer or page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from daemon.pictures import curve
from daemon.views.attempt_logs import AttemptLog, NoAttemptLog, log_of, tail
from daemon.views.curves import curve_of
from daemon.views.documents import plain
from daemon.views.explaining import why, why_lines
from daemon.views.models import ModelTold, model_of
from daemon.views.words import bytes_words, number, route_words, score_words, span
from daemon.web.model_pictures import model_pictures
from daemon.web.scene import Scene
from store.records import AttemptRow, FitRow
from store.state import FINAL_STATES, LOST_STATES

LOG_LINES = 120


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LogTold:
    """The end of a log, or why there is none."""

    text: str = ""
    size: str = ""
    problem: str = ""


def fit_parts(scene: Scene, name: str) -> dict[str, str]:
    """Return the living parts of one fit.

    Raises:
        NotFound: there is no fit of this id or name.
    """
    fit = scene.reader.fit(name)
    attempts = scene.reader.attempts(fit.id)
    chosen = _chosen(attempts, scene.view.attempt)
    values = {"view": scene.view, "past": scene.past, "fit": fit, "attempts": attempts, "chosen": chosen}
    found: dict[str, Mapping[str, Any]] = {
        "head": _head(scene, fit),
        "curve": _curve(scene, fit, attempts),
        "attempts": {"worker_words": worker_words},
        "log": {"log": _log(scene, fit, chosen)},
        "model": _model(fit, model_of(fit)),
    }
    return {
        f"fit-{part}": scene.site.page(f"parts/fit_{part}.html", {**values, **more})
        for part, more in found.items()
    }


def applicable(fit: FitRow) -> tuple[str, ...]:
    """Return the words that can be said to a fit as it stands."""
    words = []
    if fit.state in LOST_STATES:
        words.append("retry")
    if fit.state not in FINAL_STATES:
        words += ["cancel", "hold" if fit.held is None else "release"]
    elif fit.held is not None:
        words.append("release")
    return tuple(words)


def _chosen(attempts: tuple[AttemptRow, ...], said: int | None) -> AttemptRow | None:
    """The attempt that is looked at: the one asked for, else the newest."""
    for attempt in attempts:
        if attempt.attempt == said:
            return attempt
    return attempts[-1] if attempts else None


def _head(scene: Scene, fit: FitRow) -> Mapping[str, Any]:
    reason = scene.watch.reason(fit)
    lines = [(label, words) for label, words in why_lines(why(scene.reader, fit.id, watch=scene.watch))]
    return {
        "reason": reason,
        "why": [(label, words) for label, words in lines if label != "fit"],
        "facts": _facts(fit),
        "words": applicable(fit) if scene.past is None else (),
    }


def _facts(fit: FitRow) -> list[tuple[str, str]]:
    """What is to be known of a fit at a glance, without what is not said."""
    share = f", {fit.device_reason}" if fit.device_reason else ""
    # What was told last may be the first step of hundreds; of a finished fit the curve has them all.
    told = fit.state != "succeeded"
    step = f"{fit.step:,} of {fit.steps_total:,}" if told and fit.step and fit.steps_total else ""
    facts = [
        ("target", fit.target),
        ("symbol", fit.symbol or "all symbols"),
        ("route", route_words(fit.route)),
        ("stage", fit.stage.upper()),
        ("priority", str(fit.priority)),
        ("step", step),
        ("losses", _losses(fit) if told else ""),
        ("device", f"{fit.device_used}{share}" if fit.device_used else ""),
        ("took", "" if fit.seconds is None else span(fit.seconds)),
        ("set aside", f"{bytes_words(fit.memory_bytes)} of memory" if fit.memory_bytes else ""),
        ("needs a host with", ", ".join(fit.labels)),
        ("checkpoint", f"step {fit.checkpoint_step:,}" if fit.checkpoint_step else ""),
        ("worker", worker_words(fit.worker, fit.pid)),
        ("also learns", ", ".join(fit.other_targets)),
        ("failed", f"{fit.failures} times" if fit.failures > 1 else ""),
        ("lost", f"{fit.expiries} times" if fit.expiries > 1 else ""),
    ]
    return [(label, value) for label, value in facts if value]


def worker_words(worker: str | None, pid: int | None) -> str:
    """The host of a worker and the process of the fit; the rest of its name is for programs."""
    host = (worker or "").partition("/")[0]
    return f"{host}, pid {pid}" if host and pid else host


def worth_words(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How good a model is, beside the naive forecast; what an older log does not have is left out."""
    interval = f"[{_signed(metrics.get('ahead_low'))}, {_signed(metrics.get('ahead_high'))}]"
    clear = "yes" if metrics.get("beats_baseline") else "not clearly"
    found = [
        (
            str(metrics.get("metric", "score")),
            "score",
            score_words(metrics.get("score"), metrics.get("standard_error")),
        ),
        (
            f"naive {metrics.get('baseline', '')}".strip(),
            "baseline_score",
            _signed(metrics.get("baseline_score")),
        ),
        ("ahead of it", "ahead", f"{clear}: {_signed(metrics.get('ahead'))} {interval}"),
        ("judged on", "n", _judged_on(metrics)),
    ]
    return [(label, words) for label, key, words in found if metrics.get(key) is not None]


def _judged_on(metrics: Mapping[str, Any]) -> str:
    """What the score is a mean over: a rank IC counts timestamps, every other metric rows."""
    counted = "bars" if metrics.get("metric") == "rank_ic" else "rows"
    return f"{int(metrics.get('n') or 0):,} {counted} never trained on"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _losses(fit: FitRow) -> str:
    known = (("train", fit.train_loss), ("validation", fit.valid_loss))
    return ", ".join(f"{name} {number(value)}" for name, value in known if value is not None)


def _curve(scene: Scene, fit: FitRow, attempts: tuple[AttemptRow, ...]) -> Mapping[str, Any]:
    """The curve of the whole road, or of the attempt that was asked for."""
    asked = scene.view.attempt if scene.view.attempt and len(attempts) > 1 else None
    until = scene.past.seq if scene.past else None
    found = curve_of(scene.site.reader, fit.id, asked, until=until)
    picture = curve(
        found.steps,
        found.series,
        best_step=found.best_step,
        kept_word="kept" if fit.state == "succeeded" else "best so far",
        label=f"losses of {fit.name}",
    )
    return {"curve": found, "picture": picture, "asked": asked}


def _log(scene: Scene, fit: FitRow, chosen: AttemptRow | None) -> LogTold:
    """The end of the chosen attempt's log as it is on this machine now."""
    try:
        found: AttemptLog = log_of(scene.reader, fit.id, None if chosen is None else chosen.attempt)
        size = found.path.stat().st_size
        return LogTold(
            text=tail(found.path, lines=LOG_LINES),
            size=bytes_words(size) if size >= 2**20 else f"{size:,} bytes",
        )
    except NoAttemptLog as error:
        return LogTold(problem=error.what)
    except OSError as error:
        return LogTold(problem=f"its log cannot be read: {error.strerror}")


def _model(fit: FitRow, model: ModelTold | None) -> Mapping[str, Any]:
    card = ""
    if model is not None and model.card:
        shown = {
            key: value for key, value in model.card.items() if key not in ("curve", "importances", "gains")
        }
        card = json.dumps(shown, indent=2, ensure_ascii=False, default=plain)
    pictures: list[tuple[str, Markup, str]] = model_pictures(model) if model is not None else []
    return {"model": model, "card": card, "pictures": pictures, "worth": worth_words(fit.metrics or {})}
