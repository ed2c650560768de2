"""``trainwright plan``: the training plan as a document, from its making to its reasons."""

from __future__ import annotations

import click

from daemon.cli.lazy import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "make": ("daemon.cli.plan_making:make", "rank, probe, select, route, write the plan; what-if by --set"),
    "show": ("daemon.cli.plan_showing:show", "the jobs with their reasons"),
    "validate": ("daemon.cli.plan_checking:validate", "check a plan as the daemon would"),
    "explain": ("daemon.cli.plan_explaining:explain", "one target, the whole chain from data to jobs"),
    "diff": ("daemon.cli.plan_comparing:diff", "two plans, and the numbers that moved"),
    "export": ("daemon.cli.plan_exporting:export", "jobs or fits as CSV, NDJSON, JSON or Markdown"),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, epilog="Example: trainwright plan explain y_range_5d")
def plan() -> None:
    """Make, show, check, explain, compare or export a training plan."""
