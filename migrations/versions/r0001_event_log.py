"""The event log, its projections and its leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql, sqlite

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text()
INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBER = sa.Double().with_variant(sqlite.REAL(), "sqlite")
PAYLOAD = sa.Text().with_variant(postgresql.JSON(), "postgresql")
BYTES = sa.LargeBinary().with_variant(postgresql.BYTEA(), "postgresql")

# An outside shell has no pragma recursive_triggers: INSERT OR REPLACE would delete a row without firing the
# DELETE trigger. event_gapless refuses it, because what is to be replaced is never the next number.
SQLITE_GUARDS = (
    """
    CREATE TRIGGER event_no_update BEFORE UPDATE ON event
    BEGIN SELECT RAISE(ABORT, 'the event log is append-only: no UPDATE'); END
    """,
    """
    CREATE TRIGGER event_no_delete BEFORE DELETE ON event
    BEGIN SELECT RAISE(ABORT, 'the event log is append-only: no DELETE'); END
    """,
    """
    CREATE TRIGGER event_gapless BEFORE INSERT ON event
    WHEN NEW.seq IS NOT (SELECT COALESCE(MAX(seq), 0) + 1 FROM event)
      OR NEW.version IS NOT (SELECT COALESCE(MAX(version), 0) + 1 FROM event WHERE stream = NEW.stream)
      OR EXISTS (SELECT 1 FROM event WHERE event_id = NEW.event_id)
    BEGIN SELECT RAISE(ABORT, 'the event log is gapless: seq, version or event_id is not the next one'); END
    """,
)
POSTGRES_GUARDS = (
    """
    CREATE FUNCTION event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the event log is append-only: no %', TG_OP; END $$
    """,
    """
    CREATE FUNCTION event_require_next() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.seq IS DISTINCT FROM (SELECT COALESCE(MAX(seq), 0) + 1 FROM event)
        OR NEW.version IS DISTINCT FROM (
          SELECT COALESCE(MAX(version), 0) + 1 FROM event WHERE stream = NEW.stream)
      THEN RAISE EXCEPTION 'the event log is gapless: seq or version is not the next one';
      END IF;
      RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER event_no_update BEFORE UPDATE ON event FOR EACH ROW EXECUTE FUNCTION event_refuse()",
    "CREATE TRIGGER event_no_delete BEFORE DELETE ON event FOR EACH ROW EXECUTE FUNCTION event_refuse()",
    "CREATE TRIGGER event_no_truncate BEFORE TRUNCATE ON event EXECUTE FUNCTION event_refuse()",
    "CREATE TRIGGER event_gapless BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION event_require_next()",
    "ALTER TABLE event ENABLE ALWAYS TRIGGER event_no_update",
    "ALTER TABLE event ENABLE ALWAYS TRIGGER event_no_delete",
    "ALTER TABLE event ENABLE ALWAYS TRIGGER event_no_truncate",
    "ALTER TABLE event ENABLE ALWAYS TRIGGER event_gapless",
)


def upgrade() -> None:
    create_event()
    create_plan()
    create_job()
    create_fit()
    create_decision()
    create_host()
    create_operational()
    guards = SQLITE_GUARDS if op.get_context().dialect.name == "sqlite" else POSTGRES_GUARDS
    for guard in guards:
        op.execute(guard)


def downgrade() -> None:
    raise CommandError("the log only grows: there is no way down; restore a backup instead")


def create_event() -> None:
    op.create_table(
        "event",
        sa.Column("seq", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("event_id", BYTES, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("schema_version", INTEGER, nullable=False),
        sa.Column("recorded_at", INTEGER, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("correlation_id", TEXT),
        sa.Column("causation_id", BYTES),
        sa.Column("plan", TEXT),
        sa.Column("job", TEXT),
        sa.Column("fit", TEXT),
        sa.Column("attempt", INTEGER),
        sa.Column("data", PAYLOAD, nullable=False),
        sa.Column("hash", BYTES, nullable=False),
        sa.UniqueConstraint("event_id", name="event_id_once"),
        sa.UniqueConstraint("stream", "version", name="event_version_once"),
        sa.CheckConstraint("seq >= 1 AND version >= 1 AND schema_version >= 1", name="event_counts"),
        sqlite_strict=True,
    )
    op.create_index("event_of_plan", "event", ["plan", "seq"])
    op.create_index("event_of_fit", "event", ["fit", "seq"])


def create_plan() -> None:
    op.create_table(
        "plan",
        sa.Column("plan_id", TEXT, primary_key=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("panel_key", TEXT),
        sa.Column("stage_barrier", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.Column("accepted_seq", INTEGER, nullable=False),
        sa.Column("jobs", INTEGER, nullable=False),
        sa.Column("fits", INTEGER, nullable=False),
        sa.Column("succeeded", INTEGER, nullable=False),
        sa.Column("failed", INTEGER, nullable=False),
        sa.Column("unavailable", INTEGER, nullable=False),
        sa.Column("cancelled", INTEGER, nullable=False),
        sa.Column("accepted_at", INTEGER, nullable=False),
        sa.Column("completed_at", INTEGER),
        sa.Column("data", TEXT, nullable=False),
        sa.Column("training", TEXT, nullable=False),
        sa.Column("header", TEXT, nullable=False),
        sqlite_strict=True,
    )


def create_job() -> None:
    op.create_table(
        "job",
        sa.Column("plan_id", TEXT, primary_key=True),
        sa.Column("job_id", TEXT, primary_key=True),
        sa.Column("ordinal", INTEGER, nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("symbol", TEXT),
        sa.Column("route", TEXT, nullable=False),
        sa.Column("training_type", TEXT, nullable=False),
        sa.Column("priority", INTEGER, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("record", TEXT, nullable=False),
        sqlite_strict=True,
    )


def create_fit() -> None:
    op.create_table(
        "fit",
        sa.Column("fit_id", TEXT, primary_key=True),
        sa.Column("plan_id", TEXT, nullable=False),
        sa.Column("job_id", TEXT, nullable=False),
        sa.Column("family", TEXT, nullable=False),
        sa.Column("stage", TEXT, nullable=False),
        sa.Column("ordinal", INTEGER, nullable=False),
        sa.Column("plan_order", INTEGER, nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("symbol", TEXT),
        sa.Column("route", TEXT, nullable=False),
        sa.Column("training_type", TEXT, nullable=False),
        sa.Column("priority", INTEGER, nullable=False),
        sa.Column("stage_barrier", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.Column("attempt", INTEGER, nullable=False),
        sa.Column("failures", INTEGER, nullable=False),
        sa.Column("expiries", INTEGER, nullable=False),
        sa.Column("fence", INTEGER, nullable=False),
        sa.Column("worker", TEXT),
        sa.Column("not_before_at", INTEGER),
        sa.Column("claimed_at", INTEGER),
        sa.Column("started_at", INTEGER),
        sa.Column("ended_at", INTEGER),
        sa.Column("pid", INTEGER),
        sa.Column("device_used", TEXT),
        sa.Column("device_reason", TEXT),
        sa.Column("log", TEXT),
        sa.Column("step", INTEGER),
        sa.Column("steps_total", INTEGER),
        sa.Column("train_loss", NUMBER),
        sa.Column("valid_loss", NUMBER),
        sa.Column("checkpoint_step", INTEGER),
        sa.Column("checkpoint_path", TEXT),
        sa.Column("checkpoint_attempt", INTEGER),
        sa.Column("checkpoint_fence", INTEGER),
        sa.Column("checkpoint_at", INTEGER),
        sa.Column("bundle", TEXT),
        sa.Column("bundle_sha256", TEXT),
        sa.Column("metrics", TEXT),
        sa.Column("seconds", NUMBER),
        sa.Column("cause", TEXT),
        sa.Column("sentence", TEXT),
        sa.Column("place", TEXT),
        sqlite_strict=True,
    )
    create_partial_index(
        "fit_ready", ["stage", sa.text("priority DESC"), "plan_order", "ordinal"], "state = 'ready'"
    )
    unfinished = "stage = 'cpu' AND state IN ('ready', 'claimed', 'running')"
    create_partial_index("fit_unfinished_cpu", ["plan_id", "job_id"], unfinished)
    create_partial_index("fit_leased", ["plan_order", "ordinal"], "state IN ('claimed', 'running')")
    op.create_index("fit_of_plan", "fit", ["plan_order", "ordinal"])
    op.create_index("fit_of_job", "fit", ["job_id", "family"])


def create_partial_index(name: str, columns: list[str | sa.TextClause], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "fit", columns, sqlite_where=condition, postgresql_where=condition)


def create_decision() -> None:
    op.create_table(
        "decision",
        sa.Column("seq", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("planning_id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("target", TEXT),
        sa.Column("view", TEXT),
        sa.Column("symbol", TEXT),
        sa.Column("decided_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("decision_of_target", "decision", ["target", "seq"])


def create_host() -> None:
    op.create_table(
        "host",
        sa.Column("host", TEXT, primary_key=True),
        sa.Column("worker", TEXT, nullable=False),
        sa.Column("daemon_version", TEXT, nullable=False),
        sa.Column("boot_id", TEXT, nullable=False),
        sa.Column("pid", INTEGER, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("version", INTEGER, nullable=False),
        sa.Column("started_at", INTEGER, nullable=False),
        sa.Column("stopped_at", INTEGER),
        sa.Column("cause", TEXT),
        sa.Column("previous_stop", TEXT, nullable=False),
        sqlite_strict=True,
    )


def create_operational() -> None:
    op.create_table(
        "lease",
        sa.Column("fit_id", TEXT, primary_key=True),
        sa.Column("fence", INTEGER, nullable=False),
        sa.Column("worker", TEXT, nullable=False),
        sa.Column("renewed_at", INTEGER, nullable=False),
        sa.Column("expires_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "projection",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("code_version", INTEGER, nullable=False),
        sa.Column("rebuilt_seq", INTEGER, nullable=False),
        sqlite_strict=True,
    )
