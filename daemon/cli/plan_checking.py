"""``trainwright plan validate``: a plan directory checked as the daemon would."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from daemon.admission import rehearse
from daemon.cli.configuration import settings_for
from daemon.cli.screen import emit, say
from daemon.cli.workspace import config_option, json_option
from daemon.views.words import counted
from store import load_plan_directory
from store.plan_mirror import mirror_warning


@click.command(epilog="Example: trainwright plan validate results/globals/training_plan")
@click.argument("directory", type=click.Path(path_type=Path))
@config_option
@json_option
def validate(directory: Path, *, config: Path | None, as_json: bool) -> None:
    """Check a plan directory as the daemon would, but for the data."""
    document, _ = load_plan_directory(directory)
    warning = mirror_warning(directory)
    completed = rehearse(settings_for(config), document, source=str(directory))
    stages = Counter(fit.stage for fit in completed.fits)
    missing = [fit for fit in completed.fits if fit.unavailable or fit.lacking]
    if as_json:
        counts = {"jobs": len(completed.jobs), "fits": dict(stages), "unavailable": len(missing)}
        emit({"valid": True, **counts, "warnings": [warning] if warning else []})
        return
    stage_words = ", ".join(counted(stages[stage], f"{stage.upper()} fit") for stage in ("cpu", "gpu"))
    say(f"valid: {counted(len(completed.jobs), 'job')}, {stage_words}")
    if warning:
        say(f"warning: {warning}")
    for fit in missing:
        say(f"left out  {fit.job_id}/{fit.family}: {fit.unavailable or fit.lacking}")
