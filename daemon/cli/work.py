"""The road that `run`, `train`, `plan make` and `demo` share: plan, record, accept, drain, show."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from daemon.admission import left_out_words
from daemon.cli.narration import PlanningNarrator, show_planning
from daemon.cli.planning_place import planning_place
from daemon.cli.progress import TrainingNarrator
from daemon.cli.scoreboard import scoreboard
from daemon.cli.screen import emit, say, tell
from daemon.drained import Drained
from daemon.settings import Settings
from daemon.views.remaining import remaining
from daemon.views.words import counted
from daemon.workplace import Workplace
from planner import PlanningResult, PlanRequest, make_plan
from planner.comparing import Comparison
from store import DatabaseUnavailable, PlanStore


def plan(
    store: PlanStore, request: PlanRequest, *, settings: Settings | None = None, quiet: bool = False
) -> PlanningResult:
    """Plan where the `settings` say, record every decision in the log, and show the decisions."""
    narrator = PlanningNarrator()
    request = dataclasses.replace(request, past_costs=store.reading.past_costs())
    with planning_place(settings):
        result = make_plan(request, tell=narrator)
    narrator.finish()
    store.record(result.planning_id, narrator.events)
    if not quiet:
        show_planning(result)
    return result


def train(
    settings: Settings,
    store: PlanStore,
    plan: Path | Mapping[str, Any],
    *,
    name: str | None = None,
    source: str | None = None,
    planning_id: str | None = None,
) -> tuple[str, Drained]:
    """Accept a plan (its directory or its document) and train it; returns its id and how it ended."""
    # Scheduler, watcher and logging load where something is trained: a plan alone needs none of them.
    service, logs = import_module("daemon.service"), import_module("daemon.logs")
    logs.log_to_file(Workplace.of(settings).log_path)
    accepted = service.submit_plan(settings, store, plan, name=name, source=source, planning_id=planning_id)
    tell("")
    if not accepted.new:
        tell(f"plan {accepted.plan_id} was already accepted at {accepted.at:%Y-%m-%d %H:%M} UTC; no new jobs")
    slots = {"cpu": settings.cpu_slots, "gpu": settings.gpu_slots}
    fits = store.reading.fits(plan=accepted.plan_id)
    missing = ((fit.job_id, fit.family, fit.sentence or "") for fit in fits if fit.state == "unavailable")
    for words in left_out_words(missing):
        tell(f"left out  {words}")
    narrator = TrainingNarrator(fits, slots=slots, left=lambda: _left(store, accepted.plan_id))
    drained: Drained = service.drain(settings, store, [accepted.plan_id], tell=narrator)
    if drained.interrupted:
        rest = store.reading.plan_row(accepted.plan_id).open
        tell(f"interrupted; {counted(rest, 'fit')} left, with checkpoints; go on: trainwright daemon --drain")
    return accepted.plan_id, drained


def _left(store: PlanStore, plan_id: str) -> str | None:
    """How long a plan will still take, in words; None while nothing tells, or the log does not answer now."""
    try:
        left = remaining(store.reading, plan_id)
    except DatabaseUnavailable:
        return None
    return None if left.seconds is None else left.words


def show_models(store: PlanStore, plan_id: str) -> None:
    """Print the table of models of a plan."""
    fits = [fit for fit in store.reading.fits(plan=plan_id) if fit.state != "unavailable"]
    missing = [fit for fit in store.reading.fits(plan=plan_id) if fit.state == "unavailable"]
    say()
    say("models, scored on the newest rows, which no step before has seen")
    say(scoreboard(fits))
    for fit in missing:
        say(f"left out  {fit.name}: {fit.sentence}")


def exit_code_of(drained: Drained) -> int:
    """0 when every fit succeeded, 1 when one failed, 130 when stopped before the end."""
    if drained.interrupted:
        return 130
    return 1 if drained.failed else 0


def emit_outcome(
    result: PlanningResult | None,
    plan_id: str | None,
    drained: Drained | None,
    *,
    comparison: Comparison | None = None,
) -> None:
    """Print what was done as one JSON document; `comparison` is with the plan that was there before."""
    document: dict[str, object] = {"plan": plan_id}
    if result is not None:
        document |= {
            "planning": result.planning_id,
            "plan_dir": result.plan_dir,
            "jobs": result.jobs,
            "selected_targets": list(result.selected_targets),
            "blocked": {target: list(reasons) for target, reasons in result.blocked.items()},
            "panel": result.panel_key,
            "from_cache": list(result.from_cache),
        }
    if comparison is not None:
        document["differences"] = comparison.document()
    if drained is not None:
        document |= {
            "succeeded": drained.succeeded,
            "failed": drained.failed,
            "unavailable": drained.unavailable,
            "cancelled": drained.cancelled,
            "interrupted": drained.interrupted,
        }
    emit(document)
