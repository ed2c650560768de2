"""``trainwright why``: the reasons behind a fit, a job, a target or a feature, from the log."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.completing import reasons
from daemon.cli.history import at_option, looking
from daemon.cli.screen import emit, say, tell
from daemon.cli.workspace import json_option, results_option
from daemon.views.explaining import why as explained
from daemon.views.explaining import why_document, why_lines
from daemon.views.waiting import Watch, alive_then


@click.command(epilog="Example: trainwright why y_range_5d --feature atr_14")
@click.argument("name", shell_complete=reasons)
@click.option("--feature", help="What became of this feature of the target; TARGET/FEATURE says the same.")
@at_option
@results_option
@json_option
def why(*, name: str, feature: str | None, as_json: bool, **options: str | Path | None) -> None:
    """Say why a fit waits or failed, why a target was kept, dropped, routed, why a feature was left out.

    NAME is a fit (an id, or JOB/Family), a job, a target, or TARGET/FEATURE.
    """
    with looking(**options) as looked:
        watch = None if looked.seq is None else Watch(looked.reader, is_dead=alive_then)
        told = explained(looked.reader, name, feature=feature, watch=watch)
    if as_json:
        emit(looked.document | why_document(told))
        return
    if looked.seq is not None:
        tell(looked.words)
    for label, words in why_lines(told):
        say(f"{label:<8} {words}")
