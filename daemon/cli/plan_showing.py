"""``trainwright plan show``: the jobs of a plan with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from daemon.cli.screen import emit, say, table, wrapped
from daemon.cli.workspace import json_option
from daemon.views.words import route_words
from store import load_plan_directory


@click.command(epilog="Example: trainwright plan show results")
@click.argument("directory", type=click.Path(path_type=Path), default=Path("results"))
@json_option
def show(directory: Path, *, as_json: bool) -> None:
    """Print the jobs of a plan directory (or of a results directory) with their reasons."""
    document, _ = load_plan_directory(directory)
    if as_json:
        emit({"plan": document})
        return
    rows = [
        (
            job["job_id"],
            route_words(job["route"]),
            job.get("priority", 0),
            _features(job),
            ", ".join(job["model_families"]),
        )
        for job in document["jobs"]
    ]
    headers = ("job", "route", "priority", "features", "families")
    say(table(headers, rows, right=("priority", "features"), shrink="families"))
    say()
    for job in document["jobs"]:
        say(wrapped(f"{job['job_id']}:", str(job.get("reason", "")), indent=4))


def _features(job: Mapping[str, Any]) -> str:
    features = job.get("features")
    return str(len(features)) if features else "all"
