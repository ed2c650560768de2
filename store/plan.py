"""The nouns of a plan: fits, jobs, and the plan that owns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from store.awaited import Awaited

BLEND = "Blend"  # what a fit is called that is made from a job's models and those of another
BLEND_WEIGHTS = ("inverse_validation_loss", "equal")
STAGES = ("cpu", "gpu")
STAGE_BARRIERS = ("plan", "job")
TRAINING_TYPES = ("cross_sectional", "symbol_specific", "blocked")
ROUTE_BLOCKED = "ROUTE_BLOCKED"
ROUTES = (
    "ROUTE_CROSS_SECTIONAL",
    "ROUTE_SYMBOL_SPECIFIC",
    "ROUTE_BOTH",
    "ROUTE_EXPERIMENTAL_ONLY",
    ROUTE_BLOCKED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyEntry:
    """What the store must know about a model family.

    Attributes:
        unavailable: why it cannot run here, None where it can.
        stacks: whether it is made from the other fits of its job.
        shares: whether it learns several targets of the plan at once.
        labels: what its fits' hosts must have where the plan says nothing of labels.
    """

    name: str
    stage: str
    unavailable: str | None = None
    stacks: bool = False
    shares: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One family trained for one job; `ordinal` is its place in the plan, counted from 0.

    Attributes:
        unavailable: why it cannot run here: a library that is missing.
        lacking: what the plan itself has too little of for it to run.
        cores: places of the CPU stage it takes; None takes one in the CPU stage, else none.
        gpus: devices it takes; None takes one in the GPU stage, else none.
        memory_bytes: main memory it is expected to take; 0 when nobody said.
        depends_on: ids of fits of the plan that must have succeeded before it starts.
        awaits: fits of the plan it is made from, which must have ended before it starts.
        other_targets: further targets it learns beside that of its job.
        labels: what its host must have, in order.
    """

    id: str
    job_id: str
    family: str
    stage: str
    ordinal: int
    unavailable: str | None = None
    lacking: str | None = None
    cores: int | None = None
    gpus: int | None = None
    memory_bytes: int = 0
    depends_on: tuple[str, ...] = ()
    awaits: tuple[Awaited, ...] = ()
    other_targets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One (target, symbol or all, training type) of a plan; `record` is the job as the document has it."""

    id: str
    ordinal: int
    target: str
    symbol: str | None
    route: str
    training_type: str
    priority: int
    reason: str
    features: tuple[str, ...] | None
    metadata: Mapping[str, Any]
    fits: tuple[Fit, ...]
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An immutable plan; `id` and `sha256` are the hash of its canonical content.

    Attributes:
        document: the completed document, jobs included.
        data: where the rows are: data_dir, symbols, panel_key, panel_path.
        training: the training settings, those of the document over those of the caller.
    """

    id: str
    document: Mapping[str, Any]
    jobs: tuple[Job, ...]
    panel_key: str | None
    stage_barrier: str
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    sha256: str

    @property
    def fits(self) -> tuple[Fit, ...]:
        """All fits of all jobs in plan order."""
        return tuple(fit for job in self.jobs for fit in job.fits)
