"""What is asked of the planner, and what it answers: plain records, light to import."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from executors.families import DEFAULT_FAMILIES
from planner.config import PlannerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """One planning job.

    `targets` given and `auto_targets` false: trained as given, whatever the tests say. Both: only these are
    ranked and the best of them kept. Not given: all targets of the data are ranked. `features` given and
    `auto_features` false: used as given. Both: chosen among these. `auto_features` false and none given:
    every feature that knows nothing of the future. `cache_dir` defaults to `results_dir / "cache"`.
    `past_costs` is what earlier fits have cost by family (fits, seconds_at_least, seconds_per_megacell), for
    the estimates of the plan: an input like the data, without which built-in figures are taken.
    """

    data_dir: Path
    results_dir: Path
    symbols: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    families: tuple[str, ...] = DEFAULT_FAMILIES
    top_n_targets: int = 10
    auto_targets: bool = False
    auto_features: bool = False
    force_refresh: bool = False
    seed: int = 42
    config: PlannerConfig = field(default_factory=PlannerConfig)
    cache_dir: Path | None = None
    past_costs: Mapping[str, Mapping[str, float]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a step of planning is; `step` is one of STEPS, `done` of `total` in the step's own unit.

    `seconds_left` is what the rest takes at the pace of the work done so far; None where nothing tells.
    """

    step: str
    done: int
    total: int
    words: str = ""
    seconds_left: float | None = None


STEPS: tuple[str, ...] = (
    "reading the data",
    "probing for leaks",
    "ranking targets",
    "selecting features",
    "choosing routes",
    "writing the plan",
)

Tell = Callable[[object], None]  # receives Progress and the planning events of store.events


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningResult:
    """What planning found and wrote.

    `ranking`, `leaks` and `selections` are the rows of the tables of the same names (plain values, no NaN:
    None). `routing_plan` and `training_plan` are the documents as written. `blocked` maps each target without
    a job to its reasons. `selected_targets` are in order of rank; `warnings` are whole sentences.
    """

    planning_id: str
    panel_key: str
    panel_path: Path
    rows: int
    symbols: tuple[str, ...]
    ranking: tuple[Mapping[str, Any], ...]
    leaks: tuple[Mapping[str, Any], ...]
    selections: tuple[Mapping[str, Any], ...]
    candidates: tuple[Mapping[str, Any], ...]
    selected_targets: tuple[str, ...]
    routing_plan: Mapping[str, Any]
    training_plan: Mapping[str, Any]
    plan_dir: Path
    blocked: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...]
    from_cache: tuple[str, ...]  # steps answered by the cache alone
    seconds_by_step: Mapping[str, float]

    @property
    def jobs(self) -> int:
        """Number of jobs in the training plan; zero means there is nothing to train."""
        return len(self.training_plan["jobs"])

    @property
    def sentence(self) -> str:
        """Return one sentence: how many jobs for how many targets, or why there are none."""
        if self.jobs:
            targets = {job["target"] for job in self.training_plan["jobs"]}
            size = f"{_counted(self.jobs, 'job')} for {_counted(len(targets), 'target')}"
            return f"{size} planned in {self.plan_dir}"
        return f"no jobs: none of {len(self.blocked)} targets may be trained; the plan says why for each"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
