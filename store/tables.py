"""The tables as SQLModel classes: what the migrations must lead to, and a face for ad-hoc queries.

The hot paths of the store speak SQL through the driver; these classes declare the same columns, types,
uniques and indexes, and a test holds the migrations to them. Types are spelt out because SQLite's STRICT
tables know only INTEGER, REAL, TEXT and BLOB.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import BYTEA, JSON
from sqlalchemy.dialects.sqlite import REAL
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel

TEXT = Text()
INTEGER = BigInteger().with_variant(Integer(), "sqlite")
NUMBER: TypeEngine[Any] = Double().with_variant(REAL(), "sqlite")
PAYLOAD = Text().with_variant(JSON(), "postgresql")
BYTES = LargeBinary().with_variant(BYTEA(), "postgresql")
STRICT: dict[str, Any] = {"sqlite_strict": True}


def _key(kind: TypeEngine[Any]) -> Any:  # noqa: ANN401 - SQLModel fields are typed by their annotation
    return Field(
        sa_type=kind, primary_key=True, sa_column_kwargs={"autoincrement": False} if kind is INTEGER else {}
    )


def _column(kind: TypeEngine[Any]) -> Any:  # noqa: ANN401 - as above
    return Field(sa_type=kind, nullable=False)


def _none(kind: TypeEngine[Any]) -> Any:  # noqa: ANN401 - as above
    return Field(default=None, sa_type=kind, nullable=True)


def _counted(default: int) -> Any:  # noqa: ANN401 - as above
    return Field(sa_type=INTEGER, nullable=False, sa_column_kwargs={"server_default": text(str(default))})


def _defaulted(default: str) -> Any:  # noqa: ANN401 - as above
    return Field(sa_type=TEXT, nullable=False, sa_column_kwargs={"server_default": text(f"'{default}'")})


class EventTable(SQLModel, table=True):
    """The event log: append-only, gapless, chained."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("event_id", name="event_id_once"),
        UniqueConstraint("stream", "version", name="event_version_once"),
        CheckConstraint("seq >= 1 AND version >= 1 AND schema_version >= 1", name="event_counts"),
        Index("event_of_plan", "plan", "seq"),
        STRICT,
    )

    seq: int = _key(INTEGER)
    event_id: bytes = _column(BYTES)
    stream: str = _column(TEXT)
    version: int = _column(INTEGER)
    kind: str = _column(TEXT)
    schema_version: int = _column(INTEGER)
    recorded_at: int = _column(INTEGER)
    actor: str = _column(TEXT)
    correlation_id: str | None = _none(TEXT)
    causation_id: bytes | None = _none(BYTES)
    plan: str | None = _none(TEXT)
    job: str | None = _none(TEXT)
    fit: str | None = _none(TEXT)
    attempt: int | None = _none(INTEGER)
    data: str = _column(PAYLOAD)
    hash: bytes = _column(BYTES)


class PlanTable(SQLModel, table=True):
    """Projection: plans and the counts of their final fits."""

    __tablename__ = "plan"
    __table_args__ = (
        Index(
            "plan_open",
            "accepted_seq",
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
        STRICT,
    )

    plan_id: str = _key(TEXT)
    name: str = _column(TEXT)
    source: str = _column(TEXT)
    sha256: str = _column(TEXT)
    panel_key: str | None = _none(TEXT)
    stage_barrier: str = _column(TEXT)
    state: str = _column(TEXT)
    version: int = _column(INTEGER)
    accepted_seq: int = _column(INTEGER)
    jobs: int = _column(INTEGER)
    fits: int = _column(INTEGER)
    succeeded: int = _column(INTEGER)
    failed: int = _column(INTEGER)
    unavailable: int = _column(INTEGER)
    cancelled: int = _column(INTEGER)
    accepted_at: int = _column(INTEGER)
    completed_at: int | None = _none(INTEGER)
    data: str = _column(TEXT)
    training: str = _column(TEXT)
    header: str = _column(TEXT)
    queued_at: int = _counted(0)


class JobTable(SQLModel, table=True):
    """Projection: jobs of plans."""

    __tablename__ = "job"
    __table_args__ = (STRICT,)

    plan_id: str = _key(TEXT)
    job_id: str = _key(TEXT)
    ordinal: int = _column(INTEGER)
    target: str = _column(TEXT)
    symbol: str | None = _none(TEXT)
    route: str = _column(TEXT)
    training_type: str = _column(TEXT)
    priority: int = _column(INTEGER)
    reason: str = _column(TEXT)
    record: str = _column(TEXT)


class FitTable(SQLModel, table=True):
    """Projection: fits, the units that are claimed, run, resumed and reported."""

    __tablename__ = "fit"
    __table_args__ = (
        Index(
            "fit_ready",
            "stage",
            "plan_order",
            text("priority DESC"),
            "ordinal",
            sqlite_where=text("state = 'ready'"),
            postgresql_where=text("state = 'ready'"),
        ),
        Index(
            "fit_unfinished_cpu",
            "plan_id",
            "job_id",
            sqlite_where=text("stage = 'cpu' AND state IN ('ready', 'claimed', 'running')"),
            postgresql_where=text("stage = 'cpu' AND state IN ('ready', 'claimed', 'running')"),
        ),
        Index(
            "fit_leased",
            "plan_order",
            "ordinal",
            sqlite_where=text("state IN ('claimed', 'running')"),
            postgresql_where=text("state IN ('claimed', 'running')"),
        ),
        Index("fit_of_plan", "plan_order", "ordinal"),
        Index("fit_of_job", "job_id", "family"),
        STRICT,
    )

    fit_id: str = _key(TEXT)
    plan_id: str = _column(TEXT)
    job_id: str = _column(TEXT)
    family: str = _column(TEXT)
    stage: str = _column(TEXT)
    ordinal: int = _column(INTEGER)
    plan_order: int = _column(INTEGER)
    target: str = _column(TEXT)
    symbol: str | None = _none(TEXT)
    route: str = _column(TEXT)
    training_type: str = _column(TEXT)
    priority: int = _column(INTEGER)
    stage_barrier: str = _column(TEXT)
    state: str = _column(TEXT)
    version: int = _column(INTEGER)
    attempt: int = _column(INTEGER)
    failures: int = _column(INTEGER)
    expiries: int = _column(INTEGER)
    fence: int = _column(INTEGER)
    worker: str | None = _none(TEXT)
    not_before_at: int | None = _none(INTEGER)
    claimed_at: int | None = _none(INTEGER)
    started_at: int | None = _none(INTEGER)
    ended_at: int | None = _none(INTEGER)
    pid: int | None = _none(INTEGER)
    device_used: str | None = _none(TEXT)
    device_reason: str | None = _none(TEXT)
    log: str | None = _none(TEXT)
    step: int | None = _none(INTEGER)
    steps_total: int | None = _none(INTEGER)
    train_loss: float | None = _none(NUMBER)
    valid_loss: float | None = _none(NUMBER)
    checkpoint_step: int | None = _none(INTEGER)
    checkpoint_path: str | None = _none(TEXT)
    checkpoint_attempt: int | None = _none(INTEGER)
    checkpoint_fence: int | None = _none(INTEGER)
    checkpoint_at: int | None = _none(INTEGER)
    bundle: str | None = _none(TEXT)
    bundle_sha256: str | None = _none(TEXT)
    metrics: str | None = _none(TEXT)
    seconds: float | None = _none(NUMBER)
    cause: str | None = _none(TEXT)
    sentence: str | None = _none(TEXT)
    place: str | None = _none(TEXT)
    cores: int = _counted(1)
    gpus: int = _counted(0)
    memory_bytes: int = _counted(0)
    waits_for: int = _counted(0)
    depends_on: str | None = _none(TEXT)
    dependents: str | None = _none(TEXT)
    held: str | None = _none(TEXT)
    awaits: str | None = _none(TEXT)
    followers: str | None = _none(TEXT)
    other_targets: str | None = _none(TEXT)
    labels: str | None = _none(TEXT)


class PauseTable(SQLModel, table=True):
    """Projection: scopes of which nothing is claimed."""

    __tablename__ = "pause"
    __table_args__ = (STRICT,)

    scope: str = _key(TEXT)
    plan_id: str | None = _none(TEXT)
    stage: str | None = _none(TEXT)
    host: str | None = _none(TEXT)
    reason: str = _column(TEXT)
    paused_at: int = _column(INTEGER)


class DecisionTable(SQLModel, table=True):
    """Projection: an index over the planner's decisions."""

    __tablename__ = "decision"
    __table_args__ = (Index("decision_of_target", "target", "seq"), STRICT)

    seq: int = _key(INTEGER)
    planning_id: str = _column(TEXT)
    kind: str = _column(TEXT)
    target: str | None = _none(TEXT)
    view: str | None = _none(TEXT)
    symbol: str | None = _none(TEXT)
    decided_at: int = _column(INTEGER)


class HostTable(SQLModel, table=True):
    """Projection: the last known daemon of each host."""

    __tablename__ = "host"
    __table_args__ = (STRICT,)

    host: str = _key(TEXT)
    worker: str = _column(TEXT)
    daemon_version: str = _column(TEXT)
    boot_id: str = _column(TEXT)
    pid: int = _column(INTEGER)
    state: str = _column(TEXT)
    version: int = _column(INTEGER)
    started_at: int = _column(INTEGER)
    stopped_at: int | None = _none(INTEGER)
    cause: str | None = _none(TEXT)
    previous_stop: str = _column(TEXT)
    labels: str | None = _none(TEXT)
    draining: str | None = _none(TEXT)
    machine: str = _defaulted("")
    engine: str = _defaulted("own")
    give_back: int = _counted(0)
    removed_at: int | None = _none(INTEGER)


class BeatTable(SQLModel, table=True):
    """Operational, no projection: when each host was last heard of, and how many fits it had at work."""

    __tablename__ = "beat"
    __table_args__ = (STRICT,)

    host: str = _key(TEXT)
    worker: str = _column(TEXT)
    at: int = _column(INTEGER)
    running: int = _column(INTEGER)
    trouble: str = _defaulted("")


class LeaseTable(SQLModel, table=True):
    """Operational, no projection: who may run a fit until when. No index on the end: renewals stay cheap."""

    __tablename__ = "lease"
    __table_args__ = (STRICT,)

    fit_id: str = _key(TEXT)
    fence: int = _column(INTEGER)
    worker: str = _column(TEXT)
    renewed_at: int = _column(INTEGER)
    expires_at: int = _column(INTEGER)


class ProjectionTable(SQLModel, table=True):
    """Operational: which version of the fold wrote the projections."""

    __tablename__ = "projection"
    __table_args__ = (STRICT,)

    name: str = _key(TEXT)
    code_version: int = _column(INTEGER)
    rebuilt_seq: int = _column(INTEGER)


class SealTable(SQLModel, table=True):
    """Operational: the chain's hash at the end of each sealed segment of the log."""

    __tablename__ = "seal"
    __table_args__ = (STRICT,)

    last_seq: int = _key(INTEGER)
    first_seq: int = _column(INTEGER)
    hash: bytes = _column(BYTES)
    sealed_at: int = _column(INTEGER)


class LogStartTable(SQLModel, table=True):
    """Operational: after which event the log begins, once its prefix was retired; empty before."""

    __tablename__ = "log_start"
    __table_args__ = (STRICT,)

    seq: int = _key(INTEGER)
    hash: bytes = _column(BYTES)
    cut_at: int = _column(INTEGER)


class CursorTable(SQLModel, table=True):
    """Operational: how far each duty has come with the log, whichever host has it."""

    __tablename__ = "cursor"
    __table_args__ = (STRICT,)

    name: str = _key(TEXT)
    seq: int = _column(INTEGER)
    at: int = _column(INTEGER)
    data: str = _column(TEXT)


TABLES: tuple[type[SQLModel], ...] = (
    EventTable,
    PlanTable,
    JobTable,
    FitTable,
    DecisionTable,
    HostTable,
    PauseTable,
    LeaseTable,
    BeatTable,
    ProjectionTable,
    SealTable,
    LogStartTable,
    CursorTable,
)
METADATA = SQLModel.metadata
