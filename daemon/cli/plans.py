"""``trainwright plan make|show|validate``: the training plan as a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from daemon.admission import rehearse
from daemon.cli import work
from daemon.cli.configuration import settings_for
from daemon.cli.greedy import GreedyCommand
from daemon.cli.narration import route_words
from daemon.cli.options import planning_options, planning_settings, request_from
from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import config_option, json_option
from store import load_plan_directory, open_store


@click.group()
def plan() -> None:
    """Make, show or check a training plan."""


@plan.command(
    cls=GreedyCommand, epilog="Example: trainwright plan make --data-dir data --auto-targets --auto-features"
)
@planning_options
@json_option
def make(*, as_json: bool, **options: object) -> None:
    """Rank, probe, select, route and write the plan, without training."""
    settings = planning_settings(options)
    with open_store(settings.database_url) as store:
        result = work.plan(store, request_from(settings, options), quiet=as_json)
    if as_json:
        work.emit_outcome(result, None, None)
        return
    say()
    say(result.sentence)


@plan.command(epilog="Example: trainwright plan show results")
@click.argument("directory", type=click.Path(path_type=Path), default=Path("results"))
@json_option
def show(directory: Path, *, as_json: bool) -> None:
    """Print the jobs of a plan directory (or of a results directory) with their reasons."""
    document, _ = load_plan_directory(directory)
    if as_json:
        emit({"plan": document})
        return
    rows = [
        (
            job["job_id"],
            route_words(job["route"]),
            job.get("priority", 0),
            _features(job),
            ", ".join(job["model_families"]),
        )
        for job in document["jobs"]
    ]
    say(table(("job", "route", "priority", "features", "families"), rows, right=("priority", "features")))
    say()
    for job in document["jobs"]:
        say(f"{job['job_id']}: {job.get('reason', '')}")


@plan.command(epilog="Example: trainwright plan validate results/globals/training_plan")
@click.argument("directory", type=click.Path(path_type=Path))
@config_option
@json_option
def validate(directory: Path, *, config: Path | None, as_json: bool) -> None:
    """Check a plan directory as the daemon would, but for the data."""
    document, _ = load_plan_directory(directory)
    completed = rehearse(settings_for(config), document, source=str(directory))
    stages = Counter(fit.stage for fit in completed.fits)
    missing = [fit for fit in completed.fits if fit.unavailable]
    if as_json:
        emit({"valid": True, "jobs": len(completed.jobs), "fits": dict(stages), "unavailable": len(missing)})
        return
    say(f"valid: {len(completed.jobs)} jobs, {stages['cpu']} CPU fits, {stages['gpu']} GPU fits")
    for fit in missing:
        say(f"left out  {fit.job_id}/{fit.family}: {fit.unavailable}")


def _features(job: Mapping[str, Any]) -> str:
    features = job.get("features")
    return str(len(features)) if features else "all"
