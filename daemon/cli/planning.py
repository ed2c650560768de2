"""``trainwright run`` (and ``python -m planner``): one command from data to models."""

from __future__ import annotations

import click

from daemon.cli import work
from daemon.cli.earlier import earlier_plan
from daemon.cli.greedy import GreedyCommand
from daemon.cli.options import planning_configuration, planning_options, request_from
from daemon.cli.rehearsing import rehearse_planning
from daemon.cli.screen import say
from daemon.cli.workspace import json_option
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
    found = planning_configuration(options)
    settings = found.settings
    request = request_from(found, options, None, ctx=ctx)
    if dry_run:
        before = earlier_plan(settings.results_dir)
        rehearse_planning(request, before, settings=settings, as_json=as_json)
        return
    with open_store(settings.database_url) as store:
        result = work.plan(store, request, settings=settings, quiet=as_json)
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
