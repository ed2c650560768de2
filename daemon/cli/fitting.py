"""``trainwright fit --claim``: do one fit, or some, and end: for engines that people have already."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from daemon.cli.completing import fits as fit_names
from daemon.cli.completing import plans
from daemon.cli.screen import Tone, emit, paint, tell
from daemon.cli.workspace import existing_log, json_option, results_option
from daemon.news import FitBegan, FitEnded, News
from daemon.stopping import leaving_at_once

INTERRUPTED = 130
TONES: dict[str, Tone] = {
    "already": "good", "failed": "bad", "cancelled": "bad", "unavailable": "bad",
}  # fmt: skip


HELP = """Do fits of accepted plans in this process's children, and end.

For Slurm, Dask, Celery, CI, cron: whatever starts it, and however often, a fit is done once. One that was cut
off goes on from its checkpoint.

\b
Exit codes: 0 all done, or done before; 1 a fit failed for good; 4 no such fit;
            75 nothing to claim, or others have it: try again later; 130 stopped, and given back
"""


@click.command(help=HELP, epilog="Example: trainwright fit --claim next")
@click.option(
    "--claim",
    "claims",
    multiple=True,
    required=True,
    metavar="CLAIM",
    shell_complete=fit_names,
    help="next, a fit (JOB/Family or its id), or FIT:FENCE, a claim made for this; may be repeated.",
)
@click.option("--plan", "plan_id", shell_complete=plans, help="Only of this plan.")
@click.option("--stage", type=click.Choice(("cpu", "gpu")), help="With next: only of this stage.")
@click.option(
    "--fits", type=click.IntRange(min=0), default=1, help="With next: how many; 0 for all; default 1."
)
@click.option("--seconds", type=click.FloatRange(min=0), help="Claim nothing more after so long.")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(min=0),
    default=0.0,
    help="How long to wait for something to claim; default 0.",
)
@click.option(
    "--slots", "at_once", type=click.IntRange(min=1), default=1, help="Fits at the same time; default 1."
)
@click.option("--cpu-slots", type=click.IntRange(min=0), help="CPU places there are; default all cores.")
@click.option("--gpu-slots", type=click.IntRange(min=0), help="Devices there are; default 1.")
@results_option
@json_option
def fit(
    *,
    claims: Sequence[str],
    plan_id: str | None,
    config: Path | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401 (the options above)
) -> None:
    """Do fits of accepted plans in this process's children, and end."""
    with leaving_at_once(lambda _cause: os._exit(INTERRUPTED)):
        end = _done(claims, plan_id, config, options)
    if as_json:
        emit({"fits": [dataclasses.asdict(one) for one in end.fits], "stopped": end.stopped})
    for one in (one for one in end.fits if one.outcome != "succeeded"):
        words = f"  {one.sentence}" if one.sentence else ""
        tell(f"{paint(one.outcome, TONES.get(one.outcome, 'wait'))}  {one.name}  {one.fit}{words}")
    if end.sentence:
        tell(end.sentence)
    raise SystemExit(end.exit_code)


def _done(claims: Sequence[str], plan_id: str | None, config: Path | None, options: dict[str, Any]) -> Any:  # noqa: ANN401
    """Do it: what trains is loaded now, and not for a call that is wrong."""
    existing_log(config, options["results_dir"])  # says where it looked, and how to begin
    asking = import_module("daemon.asking")
    bounds = asking.Bounds(
        fits=options.pop("fits") or None,
        at_once=options.pop("at_once"),
        stage=options.pop("stage"),
        claim_seconds=options.pop("seconds"),
        wait_seconds=options.pop("wait_seconds"),
    )
    settings = import_module("daemon.cli.configuration").settings_for(config, **options)
    store = import_module("store").open_store(
        settings.database_url, create=False, policy=settings.retry_policy
    )
    with store:
        try:
            asked = asking.asked_of(claims, store.reading, plan=plan_id)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        return import_module("daemon.agent").run_agent(
            settings, store, asked=asked, bounds=bounds, tell=_narrated
        )


def _narrated(news: News) -> None:
    """Tell of the start and the end of a fit, a line each."""
    match news:
        case FitBegan():
            resumed = (
                "" if news.resumed_from_step is None else f", resumed from step {news.resumed_from_step}"
            )
            tell(f"begun  {news.name}  attempt {news.attempt} on {news.device_used}{resumed}")
        case FitEnded(outcome="succeeded"):
            tell(f"{paint('succeeded', 'good')}  {news.name} in {news.seconds:.1f} s  {news.bundle}")
        case _:
            pass
