"""``trainwright demo``: the main job on real bars, from raw prices to a table of models."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from daemon.cli import work
from daemon.cli.configuration import settings_for
from daemon.cli.greedy import GreedyCommand
from daemon.cli.screen import say, tell
from daemon.demo import PLANTED_FEATURE, PLANTED_TARGET, claim_folder, label_bars_with_plants, write_bars
from daemon.settings import Settings
from daemon.views.words import counted, span
from executors.families import DEFAULT_FAMILIES
from planner import PlannerConfig, PlanRequest
from store import PlanStore, open_store

SEED = 42
# A typical draw of the planted noise. Of nine draws looked at, two had one symbol that passed by luck (q 0.04
# and 0.05 of the 0.05 allowed); with those the table says "1/5 alone", as it should.
PLANT_SEED = 1
TOP_TARGETS = 3


@click.command(
    cls=GreedyCommand, epilog="Example: trainwright demo --dir demo   (--families all: all twenty families)"
)
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--families", multiple=True, help="Model families, space-separated; all: all twenty.")
@click.option("--skip-training", is_flag=True, help="Stop after the plan.")
@click.pass_context
def demo(ctx: click.Context, *, folder: Path, families: tuple[str, ...], skip_training: bool) -> None:
    """Rank, probe, select, route, plan and train real daily bars; no root, no network."""
    began = time.monotonic()
    settings = settings_for(
        results_dir=folder / "results",
        data_dir=folder / "data",
        families=families or DEFAULT_FAMILIES,
        seed=SEED,
        gpu_fallback="auto",
    )
    cores = settings.cpu_slots
    tell(
        f"trainwright demo in {folder}/   ({cores} cores; "
        f"planted on purpose: {PLANTED_TARGET}, {PLANTED_FEATURE})"
    )
    claim_folder(folder)
    _make_data(folder)
    with open_store(settings.database_url, policy=settings.retry_policy) as store:
        result = work.plan(store, _request(settings))
        code = 0
        if result.jobs and not skip_training:
            plan_id, drained = work.train(settings, store, result.plan_dir, planning_id=result.planning_id)
            work.show_models(store, plan_id)
            code = work.exit_code_of(drained)
            _show_files(settings, store, plan_id)
    say(f"done in {span(time.monotonic() - began)}")
    _show_next(folder)
    ctx.exit(code)


def _make_data(folder: Path) -> None:
    began = time.monotonic()
    bars = write_bars(folder / "bars")
    span_words = f"{bars.rows:,} real daily bars, {bars.first} to {bars.last}"
    tell(f" data  {', '.join(bars.symbols)}: {span_words}  {span(time.monotonic() - began)}")
    began = time.monotonic()
    summary = label_bars_with_plants(folder / "bars", folder / "data", seed=PLANT_SEED)
    features, targets = len(summary.features) + 1, len(summary.targets) + 1
    tell(f" label {features} features, {targets} targets in {folder}/data  {span(time.monotonic() - began)}")


def _request(settings: Settings) -> PlanRequest:
    return PlanRequest(
        data_dir=settings.data_dir or Path(),
        results_dir=settings.results_dir,
        families=settings.families,
        top_n_targets=TOP_TARGETS,
        auto_targets=True,
        auto_features=True,
        seed=settings.seed,
        config=PlannerConfig(),
    )


def _show_files(settings: Settings, store: PlanStore, plan_id: str) -> None:
    """Name the places of what was made."""
    bundles = [fit.bundle for fit in store.reading.fits(plan=plan_id) if fit.bundle]
    say()
    say(f"plan    {_near(settings.results_dir / 'globals/training_plan/training_plan.md')}   ({plan_id})")
    say(f"why     {_near(settings.results_dir / 'METRICS' / 'routing_plan' / 'routing_plan.md')}")
    if bundles:
        say(f"models  {_near(Path(os.path.commonpath(bundles)))}/   ({counted(len(bundles), 'bundle')})")
    log = settings.results_dir / "trainwright.db"
    place = _near(log) if settings.database_url == f"sqlite:///{log}" else store.info().url
    say(f"log     {place}   ({counted(store.head_seq(), 'event')})")


def _near(path: Path) -> str:
    """The path from here, when it lies below here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _show_next(folder: Path) -> None:
    command = ".venv/bin/trainwright" if Path(".venv/bin/trainwright").exists() else "trainwright"
    say()
    say(f"next  {command} -C {folder} status")
    say(f"      {command} -C {folder} why {PLANTED_TARGET}")
    say(f"      {command} -C {folder} models ls")
    say(f"      {command} -C {folder} report -o report.html   (one file, to send to a colleague)")
    say(f"      {command} -C {folder} serve   (the page: http://127.0.0.1:8765)")
