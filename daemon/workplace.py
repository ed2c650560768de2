"""Where everything lies: the one place that turns names of plans, jobs and fits into paths."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from daemon.settings import Settings
from panel.names import safe_file_name


@dataclass(frozen=True, slots=True, kw_only=True)
class FitPlaces:
    """The paths of one attempt at one fit."""

    bundle: Path
    metrics: Path
    log: Path
    work: Path

    @property
    def spec(self) -> Path:
        """The specification the child reads."""
        return self.work / "spec.json"

    @property
    def checkpoints(self) -> Path:
        """The fit's checkpoints, one directory per fence."""
        return self.work / "checkpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """The directories of one installation."""

    results_dir: Path
    output_dir: Path
    inbox_dir: Path

    @classmethod
    def of(cls, settings: Settings) -> Workplace:
        """Return the workplace the settings name; nothing is created."""
        return cls(
            results_dir=settings.results_dir, output_dir=settings.output_dir, inbox_dir=settings.inbox_dir
        )

    @property
    def cache_dir(self) -> Path:
        """Prepared panels, shared with the planner."""
        return self.results_dir / "cache"

    @property
    def intake_dir(self) -> Path:
        """Private copies of plans while they are judged; nobody else's business."""
        return self.results_dir / "intake"

    @property
    def lock_path(self) -> Path:
        """The file whose lock says that a daemon works here."""
        return self.results_dir / "daemon.lock"

    @property
    def signs_path(self) -> Path:
        """The daemon's sign of life."""
        return self.results_dir / "daemon.json"

    @property
    def work_dir(self) -> Path:
        """Specifications and states of fits: ``<plan>/<fit>/``."""
        return self.results_dir / "work"

    @property
    def fetched_dir(self) -> Path:
        """Models of other hosts that were asked for here: ``<fit>/<identity>/``; they can be had again."""
        return self.results_dir / "fetched"

    @property
    def log_path(self) -> Path:
        """The log of commands that draw a screen."""
        return self.results_dir / "trainwright.log"

    def open_output(self, at: datetime | None = None, *, plan_id: str = "") -> str:
        """Make a new ``<UTC timestamp>/{models,metrics,logs}`` and return its name.

        Two plans of the same second get names of their own. Where the log is shared the name holds the plan's
        id: another host may have taken another plan in that second, and a third one works on both.
        """
        stamp = (at or datetime.now(UTC)).strftime("%Y%m%d_%H%M%S")
        stamp += plan_id.removeprefix("p")
        self.output_dir.mkdir(parents=True, exist_ok=True)
        name, number = stamp, 1
        while True:
            try:
                (self.output_dir / name).mkdir()
                break
            except FileExistsError:
                number += 1
                name = f"{stamp}_{number}"
        for part in ("models", "metrics", "logs"):
            (self.output_dir / name / part).mkdir()
        return name

    def close_output(self, name: str) -> None:
        """Remove an output directory nothing was written to."""
        for part in ("models", "metrics", "logs"):
            (self.output_dir / name / part).rmdir()
        (self.output_dir / name).rmdir()

    def fit_work(self, plan_id: str, fit_id: str) -> Path:
        """Return where a fit's specification and checkpoints lie."""
        return self.results_dir.joinpath("work", plan_id, fit_id)

    def fit_places(
        self, *, output: str, plan_id: str, fit_id: str, job_id: str, family: str, attempt: int
    ) -> FitPlaces:
        """Return the paths of an attempt; a job's name is data and becomes a safe file name."""
        folder = self.output_dir / output
        job, family = safe_file_name(job_id), safe_file_name(family)
        return FitPlaces(
            bundle=folder.joinpath("models", job, family),  # one path each: made for every attempt
            metrics=folder.joinpath("metrics", job, f"{family}.json"),
            log=folder.joinpath("logs", job, f"{family}.{attempt}.log"),
            work=self.fit_work(plan_id, fit_id),
        )
