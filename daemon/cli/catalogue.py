"""``trainwright families``: the catalogue, what is usable here, and what each family has cost and reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from daemon.cli.screen import emit, say, table
from daemon.cli.workspace import NoLogHere, json_option, reader_for, results_option
from daemon.views.families import Record, catalogue
from executors.families import FAMILIES, Family, availability
from store.records import FitRow

HEADERS = ("family", "stage", "tasks", "library", "resumable", "usable here", "device", "time", "score")
NEVER = "-"


@click.command(epilog="Example: trainwright families")
@results_option
@json_option
def families(*, as_json: bool, **options: Path | None) -> None:
    """List the 20 model families: stage, tasks, library, whether they can be trained here, and how they did.

    Time and score are those of the fits in this place's event log, "-" where there is none.
    """
    found = catalogue(_past_fits(**options))
    if as_json:
        emit(found.document)
        return
    rows = [_line(family, found.records[family.name]) for family in FAMILIES]
    say(table(HEADERS, rows, right=("time", "score")))
    if found.job is None:
        say("no fit here has ended well yet: trainwright demo --families all measures all of them")
    else:
        say(f"time: median of all fits here; score: out of sample, of {found.job}")


def _past_fits(**options: Path | None) -> Sequence[FitRow]:
    """Return the fits that ended well, none where nothing was recorded yet."""
    try:
        with reader_for(**options) as reader:
            return reader.fits(states=("succeeded",))
    except NoLogHere:
        return ()


def _line(family: Family, record: Record | None) -> tuple[str, ...]:
    reason = availability(family)
    return (
        family.name,
        family.stage,
        ", ".join(family.tasks),
        family.library or "numpy",
        "yes" if family.resumable else "no",
        "yes" if reason is None else f"no: {reason}",
        NEVER if record is None else record.device or NEVER,
        NEVER if record is None else f"{record.seconds:.1f} s",
        NEVER if record is None or record.score is None else _score(*record.score),
    )


def _score(metric: str, score: float, error: float) -> str:
    return f"{score:+.3f} ± {error:.3f} {metric}"
