"""The plan that lies there before a new one is made: to be compared with, and to be asked again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.cli.screen import tell
from planner import PlanningResult
from planner.errors import NotInResults, PlanUnreadable
from planner.findings import Results
from planner.results import read_results

ASKED = ("symbols", "targets", "features", "auto_targets", "auto_features", "top_n_targets")


def earlier_plan(results_dir: Path) -> Results | None:
    """What the last planning left in a results directory; None when there is none that can be read."""
    try:
        found = read_results(results_dir, compared=True)
    except NotInResults:
        return None
    except PlanUnreadable as error:
        tell(f"warning: the plan that is here is not compared with: {error}")
        return None
    return None if found.plan is None else found


def planned(result: PlanningResult, place: str) -> Results:
    """The outcome of a planning in the form of one that was read back."""
    return Results(
        place=place,
        ranking=result.ranking,
        leaks=result.leaks,
        selections=result.selections,
        candidates=result.candidates,
        routes=result.routing_plan,
        plan=result.training_plan,
    )


def asked_before(earlier: Results | None) -> Mapping[str, Any]:
    """What the earlier plan was asked for: data, targets, features; nothing when it does not say."""
    metadata = {} if earlier is None else earlier.metadata
    asked, data = metadata.get("request"), metadata.get("data")
    if not isinstance(asked, Mapping) or not isinstance(data, Mapping) or not data.get("data_dir"):
        return {}
    return {
        "data_dir": Path(data["data_dir"]),
        "seed": metadata.get("seed"),
        "families": metadata.get("model_families_requested"),
        **{name: asked.get(name) for name in ASKED},
    }


def words_of(asked: Mapping[str, Any]) -> str:
    """An earlier request as the options that say it."""
    words = [f"--data-dir {asked['data_dir']}"]
    words += [
        f"--{name} {' '.join(asked[name])}" for name in ("symbols", "targets", "features") if asked.get(name)
    ]
    words += [f"--{name.replace('_', '-')}" for name in ("auto_targets", "auto_features") if asked.get(name)]
    if asked.get("top_n_targets"):
        words.append(f"--top-n-targets {asked['top_n_targets']}")
    return " ".join(words)
