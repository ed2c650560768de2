"""``trainwright train`` (and ``python -m executors``): train from a plan, or, if asked, without one.

A plan that is missing, unreadable, empty or made for other data is an error. Training without a plan is
possible with ``--no-training-plan`` and in no other way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from daemon.admission import rehearse
from daemon.cli import work
from daemon.cli.configuration import settings_for
from daemon.cli.greedy import GreedyCommand
from daemon.cli.screen import say, tell
from daemon.cli.workspace import config_option, json_option
from daemon.narrowing import about_data, narrow, plan_of_everything
from daemon.settings import Settings
from executors.families import CROSS_SECTIONAL, FAMILIES
from store import find_plan, load_plan_directory, open_store
from store.plan_mirror import mirror_warning

LEFT_OUT_SHOWN = 6
MODEL_TYPES = ("sequential", "cross-sectional", "both")


@click.command(
    cls=GreedyCommand,
    epilog="Example: trainwright train --data-dir data --symbols AAPL MSFT --model-types sequential",
)
@click.option(
    "--data-dir", required=True, type=click.Path(path_type=Path), help="Where the symbol files are."
)
@click.option("--symbols", multiple=True, help="Symbols, space-separated; default those of the plan.")
@click.option(
    "--model-types",
    type=click.Choice(MODEL_TYPES),
    default="both",
    help="sequential: all families, CPU stage then GPU stage; cross-sectional: only families on single rows.",
)
@click.option(
    "--training-plan-dir", type=click.Path(path_type=Path), help="The plan; default: found by itself."
)
@click.option("--no-training-plan", is_flag=True, help="Train every target without a plan.")
@click.option("--families", multiple=True, help="Only these families, space-separated.")
@click.option("--output-dir", type=click.Path(path_type=Path), help="Where models go; default output.")
@click.option(
    "--results-dir", type=click.Path(path_type=Path), help="Where plan and event log lie; default results."
)
@config_option
@json_option
@click.pass_context
def train(
    ctx: click.Context,
    /,
    *,
    model_types: str,
    training_plan_dir: Path | None,
    no_training_plan: bool,
    as_json: bool,
    **places: Any,  # noqa: ANN401 (what the options above give)
) -> None:
    """Train the models of a plan: first all CPU families, then all GPU families."""
    if no_training_plan and training_plan_dir is not None:
        raise click.UsageError("--training-plan-dir and --no-training-plan exclude each other", ctx)
    symbols, families = places.pop("symbols"), places.pop("families")
    settings = settings_for(**places, symbols=symbols or None, families=families or None)
    if no_training_plan:
        document, source = plan_of_everything(settings), "--no-training-plan"
    else:
        document, source = _found_plan(settings, training_plan_dir)
    allowed = _allowed_families(model_types, settings.families if families else ())
    document = about_data(document, settings)
    rehearse(settings, document, source=source)  # what is wrong with the plan is told with its place
    document, left_out = narrow(document, families=allowed, symbols=symbols)
    for words in left_out[:LEFT_OUT_SHOWN]:
        tell(f"left out: {words}")
    if len(left_out) > LEFT_OUT_SHOWN:
        tell(f"left out: {len(left_out) - LEFT_OUT_SHOWN} more")
    with open_store(settings.database_url, policy=settings.retry_policy) as store:
        plan_id, drained = work.train(settings, store, document, name="train", source=source)
        if as_json:
            work.emit_outcome(None, plan_id, drained)
        else:
            work.show_models(store, plan_id)
            say()
            say(
                f"done  {drained.succeeded} trained, {drained.failed} failed, "
                f"{drained.unavailable} not available"
            )
    ctx.exit(work.exit_code_of(drained))


def _found_plan(settings: Settings, given: Path | None) -> tuple[dict[str, Any], str]:
    """The plan that was named, or the one found where plans are written, and its directory.

    Raises:
        PlanRejected: there is none, or it cannot be read.
    """
    directory = given or find_plan(output_dir=settings.output_dir, results_dir=settings.results_dir)
    tell(f"training plan: {directory}")
    document, _ = load_plan_directory(directory)
    if warning := mirror_warning(directory):
        tell(f"warning: {warning}")
    return document, str(directory)


def _allowed_families(model_types: str, named: tuple[str, ...]) -> frozenset[str]:
    """The families that the two options leave."""
    allowed = {
        family.name
        for family in FAMILIES
        if model_types != "cross-sectional" or family.group == CROSS_SECTIONAL
    }
    return frozenset(allowed & set(named) if named else allowed)
