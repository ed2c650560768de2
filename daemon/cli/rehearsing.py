"""A planning that is shown and not kept: each job with its reason, and how the plan would differ."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from daemon.cli.differences import say_comparison
from daemon.cli.earlier import planned
from daemon.cli.narration import PlanningNarrator, show_planning
from daemon.cli.planning_place import planning_place
from daemon.cli.screen import emit, say, tell, wrapped
from daemon.settings import Settings
from daemon.views.words import counted
from planner import PlanRequest, make_plan
from planner.comparing import compare
from planner.findings import Results
from store.reading import open_reader


def rehearse_planning(
    request: PlanRequest, before: Results | None, *, settings: Settings, as_json: bool
) -> None:
    """Plan into a scratch directory and tell each job with its reason; nothing stays but measurements.

    A cache that is there is read and filled: what was measured need not be measured again when it counts.
    What earlier fits have cost is read from the log that the `settings` name, where there is one.
    """
    scratch = Path(tempfile.mkdtemp(prefix="trainwright-dry-"))
    try:
        narrator = PlanningNarrator()
        cache = request.results_dir / "cache"
        kept = cache if cache.is_dir() else scratch / "cache"
        request = dataclasses.replace(request, past_costs=_past_costs(settings.database_url))
        asked = dataclasses.replace(request, results_dir=scratch, cache_dir=kept)
        with planning_place(settings):
            result = make_plan(asked, tell=narrator)
        narrator.finish()
        comparison = None if before is None else compare(before, planned(result, "this plan"))
        if as_json:
            document = {"dry_run": True, "jobs": result.training_plan["jobs"], "blocked": result.blocked}
            emit(document | ({} if comparison is None else {"differences": comparison.document()}))
            return
        show_planning(result)
        say()
        for job in result.training_plan["jobs"]:
            families = ", ".join(job["model_families"])
            say(wrapped("would train", f"{job['job_id']}  {families}  because {job['reason']}", indent=13))
        if comparison is not None:
            say()
            say_comparison(comparison)
        say(f"dry run: {counted(result.jobs, 'job')}, no plan was written and nothing trained")
        if kept == cache:
            tell(f"what was measured is kept in {cache}")
    finally:
        shutil.rmtree(scratch)


def _past_costs(log_url: str) -> Mapping[str, Mapping[str, float]] | None:
    """What earlier fits have cost; nothing without a log, and none is made by asking."""
    if log_url.startswith("sqlite:///") and not Path(log_url.removeprefix("sqlite:///")).exists():
        return None
    with open_reader(log_url) as reader:
        return reader.past_costs()
