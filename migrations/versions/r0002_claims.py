"""Holds, pauses, needs and dependencies of fits; seals of the log; a guard that bulk loads can pass."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None

TEXT = sa.Text()
INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTES = sa.LargeBinary().with_variant(postgresql.BYTEA(), "postgresql")

# One look at all rows of a statement instead of one at each: a COPY of many thousand events pays for it once.
POSTGRES_GUARD = (
    "DROP TRIGGER event_gapless ON event",
    """
    CREATE OR REPLACE FUNCTION event_require_next() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      fresh_first bigint; fresh_last bigint; fresh_count bigint; before bigint;
    BEGIN
      SELECT min(seq), max(seq), count(*) INTO fresh_first, fresh_last, fresh_count FROM fresh;
      IF fresh_count = 0 THEN RETURN NULL; END IF;
      SELECT COALESCE(max(seq), (SELECT max(seq) FROM log_start), 0) INTO before
        FROM event WHERE seq < fresh_first;
      IF fresh_first <> before + 1 OR fresh_last - fresh_first + 1 <> fresh_count
        OR EXISTS (SELECT 1 FROM event WHERE seq > fresh_last)
        OR EXISTS (
          SELECT 1 FROM (
            SELECT stream, min(version) AS first, max(version) AS last, count(*) AS many
            FROM fresh GROUP BY stream) AS f
          WHERE f.last - f.first + 1 <> f.many OR f.first <> 1 + COALESCE(
            (SELECT max(e.version) FROM event AS e WHERE e.stream = f.stream AND e.version < f.first), 0))
      THEN RAISE EXCEPTION 'the event log is gapless: seq or version is not the next one';
      END IF;
      RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER event_gapless AFTER INSERT ON event REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION event_require_next()
    """,
    "ALTER TABLE event ENABLE ALWAYS TRIGGER event_gapless",
)
SQLITE_GUARD = (
    "DROP TRIGGER event_gapless",
    """
    CREATE TRIGGER event_gapless BEFORE INSERT ON event
    WHEN NEW.seq IS NOT 1 + COALESCE((SELECT MAX(seq) FROM event), (SELECT MAX(seq) FROM log_start), 0)
      OR NEW.version IS NOT 1 + COALESCE((SELECT MAX(version) FROM event WHERE stream = NEW.stream), 0)
      OR EXISTS (SELECT 1 FROM event WHERE event_id = NEW.event_id)
    BEGIN SELECT RAISE(ABORT, 'the event log is gapless: seq, version or event_id is not the next one'); END
    """,
)


def upgrade() -> None:
    for name, default in (("cores", "1"), ("gpus", "0"), ("memory_bytes", "0"), ("waits_for", "0")):
        op.add_column("fit", sa.Column(name, INTEGER, nullable=False, server_default=sa.text(default)))
    for name in ("depends_on", "dependents", "held"):
        op.add_column("fit", sa.Column(name, TEXT))
    op.create_table(
        "pause",
        sa.Column("scope", TEXT, primary_key=True),
        sa.Column("plan_id", TEXT),
        sa.Column("stage", TEXT),
        sa.Column("host", TEXT),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("paused_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "seal",
        sa.Column("last_seq", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("first_seq", INTEGER, nullable=False),
        sa.Column("hash", BYTES, nullable=False),
        sa.Column("sealed_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "log_start",
        sa.Column("seq", INTEGER, primary_key=True, autoincrement=False),
        sa.Column("hash", BYTES, nullable=False),
        sa.Column("cut_at", INTEGER, nullable=False),
        sqlite_strict=True,
    )
    op.drop_index("event_of_fit", "event")  # the stream of a fit is found by its name
    guard = SQLITE_GUARD if op.get_context().dialect.name == "sqlite" else POSTGRES_GUARD
    for statement in guard:
        op.execute(statement)


def downgrade() -> None:
    raise CommandError("the log only grows: there is no way down; restore a backup instead")
