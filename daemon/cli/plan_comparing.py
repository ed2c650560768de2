"""``trainwright plan diff``: how two plans differ and which numbers moved."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.differences import ROWS_MAX, say_comparison
from daemon.cli.screen import emit
from daemon.cli.workspace import existing_log, json_option, results_option
from daemon.views.plan_compared import findings_of
from planner.comparing import compare
from planner.errors import NotInResults
from planner.findings import Results
from planner.results import read_results
from store.reading import open_reader

PLAN_ID_PREFIX = "p_"


@click.command(epilog="Example: trainwright plan diff results.last-week results")
@click.argument("before")
@click.argument("after")
@click.option("--all", "everything", is_flag=True, help="Every line, however many there are.")
@results_option
@json_option
def diff(
    *, before: str, after: str, everything: bool, as_json: bool, config: Path | None, results_dir: Path | None
) -> None:
    """Compare two plans: settings, data, ranks, routes and jobs, each with the number that moved.

    BEFORE and AFTER are results directories, plan directories or ids of accepted plans (p_...). The exit
    code is 0 whether they differ or not: 1 would say that a fit failed; --json has "equal".
    """
    comparison = compare(*(_side(name, config, results_dir) for name in (before, after)))
    if as_json:
        emit(comparison.document())
        return
    say_comparison(comparison, rows_max=None if everything else ROWS_MAX)


def _side(name: str, config: Path | None, results_dir: Path | None) -> Results:
    """What lies at a path, else the accepted plan of that id.

    Raises:
        NotInResults: there is no such path, and it is no id.
        NotFound: no plan of that id was accepted.
    """
    path = Path(name)
    if path.exists():
        return read_results(path, compared=True)
    if not name.startswith(PLAN_ID_PREFIX):
        raise NotInResults(
            f"there is no plan {name!r}",
            where=name,
            fix="name a results directory, a plan directory or a plan id",
        )
    with open_reader(existing_log(config, results_dir)) as reader:
        return findings_of(reader, name)
