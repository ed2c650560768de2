"""A planning that is shown and not kept: each job with its reason, and how the plan would differ."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

from daemon.cli.differences import say_comparison
from daemon.cli.earlier import planned
from daemon.cli.narration import PlanningNarrator, show_planning
from daemon.cli.screen import emit, say, tell, wrapped
from planner import PlanRequest, make_plan
from planner.comparing import compare
from planner.results import Results


def rehearse_planning(request: PlanRequest, before: Results | None, *, as_json: bool) -> None:
    """Plan into a scratch directory and tell each job with its reason; nothing stays but measurements.

    A cache that is there is read and filled: what was measured need not be measured again when it counts.
    """
    scratch = Path(tempfile.mkdtemp(prefix="trainwright-dry-"))
    try:
        narrator = PlanningNarrator()
        cache = request.results_dir / "cache"
        kept = cache if cache.is_dir() else scratch / "cache"
        result = make_plan(dataclasses.replace(request, results_dir=scratch, cache_dir=kept), tell=narrator)
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
        say(f"dry run: {result.jobs} jobs, no plan was written and nothing trained")
        if kept == cache:
            tell(f"what was measured is kept in {cache}")
    finally:
        shutil.rmtree(scratch)
