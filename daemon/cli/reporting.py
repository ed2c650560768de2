"""``trainwright report``: one self-contained HTML file on a plan, to send to a colleague."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from daemon.cli.completing import plans
from daemon.cli.screen import say, tell
from daemon.cli.workspace import reader_for, results_option
from daemon.errors import DaemonError
from store.durable import appearing
from store.reading import Reader

STDOUT = "-"


class NothingToReport(DaemonError):
    """There is a log, but no plan was ever accepted."""

    exit_code = 4

    def __init__(self) -> None:
        super().__init__("no plan was accepted yet", fix="trainwright run, or trainwright submit DIR")


@click.command(epilog="Example: trainwright report -o report.html")
@click.argument("plan", required=False, shell_complete=plans)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="The file; - for stdout. Default report-PLAN.html here.",
)
@results_option
def report(*, plan: str | None, output: Path | None, **options: Path | None) -> None:
    """Write a report on PLAN, by default the newest: what was found, what it is worth, what to be wary of.

    One HTML file without scripts or outside assets, to be read in a browser or printed. It is made from the
    log and the saved models alone; the same log gives the same file.
    """
    with reader_for(**options) as reader:
        plan_id = plan or _newest(reader)
        text: str = import_module("daemon.report").report_html(reader, plan_id)
    data = text.encode()
    if output is not None and str(output) == STDOUT:
        click.echo(data, nl=False)
        return
    path = output or Path(f"report-{plan_id}.html")
    with appearing(path, replace=True) as partial:
        partial.write_bytes(data)
    say(str(path))
    tell(f"report on {plan_id}: {len(data) / 1e6:.1f} MB; open it in a browser, print it, or send it")


def _newest(reader: Reader) -> str:
    plans = reader.plans()
    if not plans:
        raise NothingToReport
    return plans[-1].id
