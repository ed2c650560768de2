"""The options that planning commands share, and the request they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from daemon.cli.configuration import settings_for
from daemon.cli.work import planner_settings
from daemon.settings import Settings
from planner import PlanRequest

Command = TypeVar("Command", bound=Callable[..., Any])

PLANNING = (
    click.option(
        "--data-dir", required=True, type=click.Path(path_type=Path), help="Where the symbol files are."
    ),
    click.option("--symbols", multiple=True, help="Symbols, space-separated; default all in the data."),
    click.option("--auto-targets", is_flag=True, help="Rank all targets and take the best."),
    click.option("--auto-features", is_flag=True, help="Select features per target."),
    click.option(
        "--top-n-targets", type=click.IntRange(min=1), default=10, show_default=True, help="How many targets."
    ),
    click.option("--targets", multiple=True, help="These targets, space-separated."),
    click.option("--features", multiple=True, help="These features, space-separated."),
    click.option("--families", multiple=True, help="Model families, space-separated, in any spelling."),
    click.option("--force-refresh", is_flag=True, help="Ignore the cache and do everything again."),
    click.option("--output-dir", type=click.Path(path_type=Path), help="Where results go; default results."),
    click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="TOML file."),
    click.option("--seed", type=click.IntRange(min=0), help="Seed of everything random; default 42."),
)


def planning_options(command: Command) -> Command:
    """Add the options of planning to a command."""
    for option in reversed(PLANNING):
        command = option(command)
    return command


def planning_settings(options: Mapping[str, Any]) -> Settings:
    """The settings of a planning command's options; its ``--output-dir`` is where results go."""
    return settings_for(
        options["config"],
        results_dir=options["output_dir"],
        data_dir=options["data_dir"],
        symbols=options["symbols"] or None,
        families=options["families"] or None,
        seed=options["seed"],
    )


def request_from(settings: Settings, options: Mapping[str, Any]) -> PlanRequest:
    """The planning request of a command's options and settings."""
    return PlanRequest(
        data_dir=cast("Path", settings.data_dir),
        results_dir=settings.results_dir,
        symbols=settings.symbols or None,
        targets=options["targets"] or None,
        features=options["features"] or None,
        families=settings.families,
        top_n_targets=options["top_n_targets"],
        auto_targets=options["auto_targets"],
        auto_features=options["auto_features"],
        force_refresh=options["force_refresh"],
        seed=settings.seed,
        config=planner_settings(options["config"]),
    )
