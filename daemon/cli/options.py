"""The options that planning commands share, and the request they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.cli.configuration import configuration_for, set_option
from daemon.cli.earlier import ASKED, asked_before, words_of
from daemon.cli.screen import tell
from daemon.settings_reading import TABLE
from daemon.sources import Configuration
from planner import PlanRequest
from planner.findings import Results

Command = TypeVar("Command", bound=Callable[..., Any])
TOP_TARGETS = 10

PLANNING = (
    click.option("--data-dir", type=click.Path(path_type=Path), help="Where the symbol files are."),
    click.option("--symbols", multiple=True, help="Symbols, space-separated; default all in the data."),
    click.option("--auto-targets", is_flag=True, help="Rank all targets and take the best."),
    click.option("--auto-features", is_flag=True, help="Select features per target."),
    click.option("--top-n-targets", type=click.IntRange(min=1), help="How many targets; default 10."),
    click.option("--targets", multiple=True, help="These targets, space-separated."),
    click.option("--features", multiple=True, help="These features, space-separated."),
    click.option(
        "--families", multiple=True, help="Model families, space-separated, in any spelling; all: all twenty."
    ),
    click.option(
        "--engine",
        type=click.Choice(("own", "ray")),
        help="Where it is measured: on this host, or on the Ray cluster that it belongs to.",
    ),
    click.option("--force-refresh", is_flag=True, help="Ignore the cache and do everything again."),
    click.option("--output-dir", type=click.Path(path_type=Path), help="Where results go; default results."),
    click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="TOML file."),
    click.option("--seed", type=click.IntRange(min=0), help="Seed of everything random; default 42."),
    set_option,
)


def planning_options(command: Command) -> Command:
    """Add the options of planning to a command."""
    for option in reversed(PLANNING):
        command = option(command)
    return command


def planning_configuration(options: Mapping[str, Any]) -> Configuration:
    """The configuration under a planning command's options; its ``--output-dir`` is where results go."""
    return configuration_for(
        options["config"],
        assignments=options["assignments"],
        overrides={
            "results_dir": options["output_dir"],
            "data_dir": options["data_dir"],
            "symbols": options["symbols"] or None,
            "families": options["families"] or None,
            "seed": options["seed"],
            "planning_engine": options["engine"],
        },
    )


def request_from(
    found: Configuration, options: Mapping[str, Any], earlier: Results | None, *, ctx: click.Context
) -> PlanRequest:
    """The planning request of a command's options; without ``--data-dir`` that of an earlier plan.

    Raises:
        UsageError: no data directory is named, neither here nor in the settings nor by an earlier plan.
    """
    settings = found.settings
    asked: dict[str, Any] = {}
    if options["data_dir"] is None:
        asked = {name: value for name, value in asked_before(earlier).items() if value is not None}
    again = bool(asked)
    if settings.data_dir is not None:
        asked["data_dir"] = settings.data_dir
    if "data_dir" not in asked:
        raise click.UsageError("Missing option '--data-dir'.", ctx)
    asked |= {name: options[name] for name in ASKED if options[name]}
    if again:
        tell(f"as the plan that is here: {words_of(asked)}")
    said = {path[1] for path in found.origins if path[0] == TABLE and len(path) > 1}
    asked |= {name: getattr(settings, name) for name in ("families", "seed", "symbols") if name in said}
    return PlanRequest(
        data_dir=asked["data_dir"],
        results_dir=settings.results_dir,
        symbols=tuple(asked.get("symbols") or ()) or None,
        targets=tuple(asked.get("targets") or ()) or None,
        features=tuple(asked.get("features") or ()) or None,
        families=tuple(asked.get("families", settings.families)),
        top_n_targets=asked.get("top_n_targets", TOP_TARGETS),
        auto_targets=asked.get("auto_targets", False),
        auto_features=asked.get("auto_features", False),
        force_refresh=options["force_refresh"],
        seed=asked.get("seed", settings.seed),
        config=found.planner,
    )
