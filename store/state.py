"""The states that the log folds to: one row for each plan, job, fit, pause, decision and host.

A row's fields are the columns of its table, in order; moments are microseconds since the epoch, mappings are
JSON text. So a row folded in memory can be compared with a row of the database field by field. Rows are
changed only through `Rows.change`, by the fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

FINAL_STATES = frozenset(("succeeded", "failed", "unavailable", "cancelled"))
LOST_STATES = FINAL_STATES - {"succeeded"}
LEASED_STATES = frozenset(("claimed", "running"))
FIT_STATES = FINAL_STATES | LEASED_STATES | {"ready"}


@dataclass(slots=True, kw_only=True)
class State:
    """A row of a projection table, found by the columns of its key.

    Neither the fold nor a claim looks at the columns in `UNREAD`: a row that is read to be changed has their
    defaults in them.
    """

    TABLE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]
    UNREAD: ClassVar[frozenset[str]] = frozenset()

    @property
    def key(self) -> tuple[object, ...]:
        """The values of the key columns."""
        names = self.KEY
        return (getattr(self, names[0]),) if len(names) == 1 else tuple(getattr(self, name) for name in names)


@dataclass(slots=True, kw_only=True)
class PlanState(State):
    """A plan and the counts of its final fits; state is active or completed.

    `queued_at` is since when its fits wait: when it was accepted, or when a retry opened it again.
    """

    TABLE: ClassVar[str] = "plan"
    KEY: ClassVar[tuple[str, ...]] = ("plan_id",)
    UNREAD: ClassVar[frozenset[str]] = frozenset(("data", "training", "header"))

    plan_id: str
    name: str
    source: str
    sha256: str
    panel_key: str | None
    stage_barrier: str
    state: str
    version: int
    accepted_seq: int
    jobs: int
    fits: int
    succeeded: int
    failed: int
    unavailable: int
    cancelled: int
    accepted_at: int
    completed_at: int | None = None
    data: str = ""
    training: str = ""
    header: str = ""
    queued_at: int = 0

    @property
    def open(self) -> int:
        """Fits that are not final yet."""
        return self.fits - self.succeeded - self.failed - self.unavailable - self.cancelled


@dataclass(slots=True, kw_only=True)
class JobState(State):
    """A job of a plan; `record` is the job as the document has it."""

    TABLE: ClassVar[str] = "job"
    KEY: ClassVar[tuple[str, ...]] = ("plan_id", "job_id")

    plan_id: str
    job_id: str
    ordinal: int
    target: str
    symbol: str | None
    route: str
    training_type: str
    priority: int
    reason: str
    record: str


@dataclass(slots=True, kw_only=True)
class FitState(State):
    """A fit; state is ready, claimed, running, succeeded, failed, unavailable or cancelled.

    Attributes:
        waits_for: fits it depends on that have not succeeded, and fits it is made from that have not ended.
        depends_on: ids of the fits it depends on, a JSON list.
        dependents: ids of the fits that depend on it, a JSON list.
        held: why a person holds it back; None when nobody does.
        awaits: what it is made from, a JSON list of `store.awaited.Awaited`.
        followers: ids of the fits that are made from it, a JSON list.
        other_targets: further targets it learns beside its own, a JSON list.
        labels: what its host must have, joined by commas; None for nothing.
    """

    TABLE: ClassVar[str] = "fit"
    KEY: ClassVar[tuple[str, ...]] = ("fit_id",)
    UNREAD: ClassVar[frozenset[str]] = frozenset(
        (
            "ordinal", "plan_order", "stage_barrier", "not_before_at", "ended_at", "pid", "device_used",
            "device_reason", "log", "step", "steps_total", "train_loss", "valid_loss", "bundle",
            "bundle_sha256", "metrics", "seconds", "sentence", "place", "depends_on", "other_targets",
        )
    )  # fmt: skip

    fit_id: str
    plan_id: str
    job_id: str
    family: str
    stage: str
    ordinal: int = 0
    plan_order: int = 0
    target: str
    symbol: str | None
    route: str
    training_type: str
    priority: int
    stage_barrier: str = "plan"
    state: str
    version: int
    attempt: int
    failures: int
    expiries: int
    fence: int
    worker: str | None = None
    not_before_at: int | None = None
    claimed_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    pid: int | None = None
    device_used: str | None = None
    device_reason: str | None = None
    log: str | None = None
    step: int | None = None
    steps_total: int | None = None
    train_loss: float | None = None
    valid_loss: float | None = None
    checkpoint_step: int | None = None
    checkpoint_path: str | None = None
    checkpoint_attempt: int | None = None
    checkpoint_fence: int | None = None
    checkpoint_at: int | None = None
    bundle: str | None = None
    bundle_sha256: str | None = None
    metrics: str | None = None
    seconds: float | None = None
    cause: str | None = None
    sentence: str | None = None
    place: str | None = None
    cores: int = 1
    gpus: int = 0
    memory_bytes: int = 0
    waits_for: int = 0
    depends_on: str | None = None
    dependents: str | None = None
    held: str | None = None
    awaits: str | None = None
    followers: str | None = None
    other_targets: str | None = None
    labels: str | None = None


@dataclass(slots=True, kw_only=True)
class PauseState(State):
    """Nothing of this scope is claimed: of a plan, of a stage, on a host; None stands for all of them."""

    TABLE: ClassVar[str] = "pause"
    KEY: ClassVar[tuple[str, ...]] = ("scope",)

    scope: str
    plan_id: str | None
    stage: str | None
    host: str | None
    reason: str
    paused_at: int


@dataclass(slots=True, kw_only=True)
class DecisionState(State):
    """An index over the planner's events, so that a target's history is found without reading the log."""

    TABLE: ClassVar[str] = "decision"
    KEY: ClassVar[tuple[str, ...]] = ("seq",)

    seq: int
    planning_id: str
    kind: str
    target: str | None
    view: str | None
    symbol: str | None
    decided_at: int


@dataclass(slots=True, kw_only=True)
class HostState(State):
    """The last known daemon of a host; state is working or stopped.

    Attributes:
        labels: what the host offers beside its room, joined by commas; None for nothing.
        draining: why it claims nothing more; None where it does.
        give_back: 1 where it gives back what it runs while it drains.
        removed_at: when it was removed; None where it was not, or came back.
    """

    TABLE: ClassVar[str] = "host"
    KEY: ClassVar[tuple[str, ...]] = ("host",)

    host: str
    worker: str
    daemon_version: str
    boot_id: str
    pid: int
    state: str
    version: int
    started_at: int
    stopped_at: int | None
    cause: str | None
    previous_stop: str
    labels: str | None = None
    machine: str = ""
    engine: str = "own"
    draining: str | None = None
    give_back: int = 0
    removed_at: int | None = None


STATE_TYPES: tuple[type[State], ...] = (
    PlanState,
    JobState,
    FitState,
    DecisionState,
    HostState,
    PauseState,
)
