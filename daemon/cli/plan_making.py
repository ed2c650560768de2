"""``trainwright plan make``: from data to a written plan, and how it differs from the last one."""

from __future__ import annotations

import click

from daemon.cli import work
from daemon.cli.differences import say_comparison
from daemon.cli.earlier import earlier_plan, planned
from daemon.cli.greedy import GreedyCommand
from daemon.cli.options import planning_configuration, planning_options, request_from
from daemon.cli.rehearsing import rehearse_planning
from daemon.cli.screen import say
from daemon.cli.workspace import json_option
from planner.comparing import compare
from store import open_store

DIFFERENCES_MAX = 6


@click.command(
    cls=GreedyCommand,
    epilog="Example: trainwright plan make --set routing.min_score=0.02    (as the last plan, but for this)",
)
@planning_options
@click.option("--dry-run", is_flag=True, help="Show what would be trained and why; write no plan.")
@json_option
@click.pass_context
def make(ctx: click.Context, /, *, dry_run: bool, as_json: bool, **options: object) -> None:
    """Rank, probe, select, route and write the plan, without training.

    Without --data-dir the plan that is there is made again, with its data, targets, features and families,
    but under the settings given now: a what-if. What was measured before is taken from the cache; settings
    that only judge (those of [routing], the false discovery rate) measure nothing again.
    """
    found = planning_configuration(options)
    before = earlier_plan(found.settings.results_dir)
    request = request_from(found, options, before, ctx=ctx)
    if dry_run:
        rehearse_planning(request, before, settings=found.settings, as_json=as_json)
        return
    with open_store(found.settings.database_url) as store:
        result = work.plan(store, request, settings=found.settings, quiet=as_json)
    comparison = None if before is None else compare(before, planned(result, "this plan"))
    if as_json:
        work.emit_outcome(result, None, None, comparison=comparison)
        return
    say()
    if comparison is not None:
        say_comparison(comparison, rows_max=DIFFERENCES_MAX)
        say()
    say(result.sentence)
