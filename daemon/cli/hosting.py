"""``trainwright daemon``: the training host."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.configuration import settings_for
from daemon.cli.workspace import results_option
from daemon.logs import configure_logs, take_in_other_logs
from daemon.service import serve


@click.command(epilog="Example: trainwright daemon --data-dir data")
@results_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="Data of plans that do not name theirs.")
@click.option("--inbox-dir", type=click.Path(path_type=Path), help="The drop folder; default inbox.")
@click.option("--cpu-slots", type=click.IntRange(min=0), help="CPU fits at the same time; default all cores.")
@click.option("--gpu-slots", type=click.IntRange(min=0), help="GPU fits at the same time; default 1.")
@click.option("--drain", "until_idle", is_flag=True, help="Work until nothing is left, then exit.")
def daemon(*, config: Path | None, until_idle: bool, **options: object) -> None:
    """Watch the drop folder and train what lands there, until told to stop."""
    settings = settings_for(config, **options)
    configure_logs()
    take_in_other_logs()
    raise SystemExit(serve(settings, until_idle=until_idle))
