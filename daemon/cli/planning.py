"""``trainwright run`` (and ``python -m planner``): one command from data to models."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

import click

from daemon.cli import work
from daemon.cli.greedy import GreedyCommand
from daemon.cli.narration import PlanningNarrator, show_planning
from daemon.cli.options import planning_options, planning_settings, request_from
from daemon.cli.screen import emit, say
from daemon.cli.workspace import json_option
from planner import PlanRequest, make_plan
from store import open_store


@click.command(
    cls=GreedyCommand,
    epilog="Example: trainwright run --data-dir data --symbols AAPL MSFT GOOG --auto-targets --auto-features",
)
@planning_options
@click.option("--skip-training", is_flag=True, help="Write the plan and stop.")
@click.option("--dry-run", is_flag=True, help="Show what would be trained and why; write no plan.")
@json_option
@click.pass_context
def run(
    ctx: click.Context, /, *, skip_training: bool, dry_run: bool, as_json: bool, **options: object
) -> None:
    """Rank targets, probe for leaks, select features, choose routes, write the plan, and train it."""
    settings = planning_settings(options)
    request = request_from(settings, options)
    if dry_run:
        _show_dry_run(request, as_json=as_json)
        return
    with open_store(settings.database_url) as store:
        result = work.plan(store, request, quiet=as_json)
        plan_id, drained = None, None
        if result.jobs and not skip_training:
            plan_id, drained = work.train(settings, store, result.plan_dir, planning_id=result.planning_id)
            if not as_json:
                work.show_models(store, plan_id)
        if as_json:
            work.emit_outcome(result, plan_id, drained)
        else:
            say()
            say(result.sentence)
            if result.jobs and skip_training:
                say(
                    f"next  trainwright train --data-dir {request.data_dir} "
                    f"--training-plan-dir {result.plan_dir}"
                )
        ctx.exit(0 if drained is None else work.exit_code_of(drained))


def _show_dry_run(request: PlanRequest, *, as_json: bool) -> None:
    """Plan into a scratch directory, and tell each job with its reason; a cache that is there is used."""
    scratch = Path(tempfile.mkdtemp(prefix="trainwright-dry-"))
    try:
        narrator = PlanningNarrator()
        cache = request.results_dir / "cache"
        cache = cache if cache.is_dir() else scratch / "cache"
        result = make_plan(dataclasses.replace(request, results_dir=scratch, cache_dir=cache), tell=narrator)
        narrator.finish()
        if as_json:
            emit({"dry_run": True, "jobs": result.training_plan["jobs"], "blocked": result.blocked})
            return
        show_planning(result)
        say()
        for job in result.training_plan["jobs"]:
            say(f"would train  {job['job_id']}  {', '.join(job['model_families'])}  because {job['reason']}")
        say(f"dry run: {result.jobs} jobs, no plan was written and nothing trained")
    finally:
        shutil.rmtree(scratch)
