"""``trainwright plan export``: the jobs or the fits of a plan for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.screen import tell
from daemon.views.words import counted
from planner.documents import read_plan
from planner.errors import NotInResults
from planner.exporting import FORMATS, exported
from planner.writing import write_atomically


@click.command(epilog="Example: trainwright plan export results --format csv --what fits --output fits.csv")
@click.argument("place", type=click.Path(path_type=Path), default=Path("results"), metavar="[DIRECTORY]")
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("--what", type=click.Choice(("jobs", "fits")), default="jobs", show_default=True)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of stdout."
)
def export(*, place: Path, form: str, what: str, output: Path | None) -> None:
    """Print the jobs of a plan, or one line per fit, as CSV, NDJSON, JSON or Markdown.

    Lists stand in CSV and Markdown as words separated by blanks.
    """
    plan = read_plan(place).content
    if plan is None:
        raise NotInResults("there is no training plan here", where=str(place), fix="trainwright plan make")
    data = "".join(exported(plan, form=form, what=what)).encode()
    if output is None:
        click.echo(data, nl=False)
        return
    write_atomically(output, data)
    tell(f"{counted(len(plan['jobs']), 'job')} written to {output}")
