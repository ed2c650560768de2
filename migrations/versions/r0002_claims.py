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
# Its plan is made on an empty table and kept for the session, so it must not read the table from end to end,
# and scalar subqueries are looked up one by one where NOT EXISTS would hash the whole table.
POSTGRES_GUARD = (
    "DROP TRIGGER event_gapless ON event",
    """
    CREATE OR REPLACE FUNCTION event_require_next() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    BEGIN
      IF EXISTS (
        SELECT 1 FROM fresh AS f WHERE
          (f.seq = 1 AND EXISTS (SELECT 1 FROM log_start))
          OR (f.seq > 1 AND (SELECT e.seq FROM event AS e WHERE e.seq = f.seq - 1) IS NULL
            AND (SELECT l.seq FROM log_start AS l WHERE l.seq = f.seq - 1) IS NULL)
          OR (f.version > 1 AND (
            SELECT e.seq FROM event AS e WHERE e.stream = f.stream AND e.version = f.version - 1) IS NULL))
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
# The last statement of a word about a fit: numbers and hashes are given behind a lock that is held only from
# here to the commit. The hash is that of store.log.chained_hash.
POSTGRES_APPEND = """
    CREATE FUNCTION event_append(words json) RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
    DECLARE
      place bigint; link bytea; word record; first bigint;
    BEGIN
      PERFORM pg_advisory_xact_lock(8241996602216869473);
      SELECT e.seq, e.hash INTO place, link FROM event AS e ORDER BY e.seq DESC LIMIT 1;
      IF NOT FOUND THEN place := 0; link := decode(repeat('00', 32), 'hex'); END IF;
      first := place + 1;
      FOR word IN SELECT * FROM json_to_recordset(words) AS w(
        event_id bytea, stream text, version bigint, kind text, schema_version bigint, recorded_at bigint,
        actor text, correlation_id text, causation_id bytea, plan text, job text, fit text, attempt bigint,
        data text, digest bytea)
      LOOP
        place := place + 1;
        link := sha256(link || word.digest || int8send(place) || int8send(word.recorded_at));
        INSERT INTO event VALUES (
          place, word.event_id, word.stream, word.version, word.kind, word.schema_version, word.recorded_at,
          word.actor, word.correlation_id, word.causation_id, word.plan, word.job, word.fit, word.attempt,
          word.data::json, link);
      END LOOP;
      RETURN first;
    END $$
    """
# Counts a fit that ended. The fit that ends its plan must not be counted here: the plan's completion is an
# event, and who writes it must be alone on the log.
POSTGRES_COUNT = """
    CREATE FUNCTION plan_count(
      counted text, succeeded_more bigint, failed_more bigint, unavailable_more bigint, cancelled_more bigint)
    RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE
      open_fits bigint;
    BEGIN
      UPDATE plan AS p SET succeeded = p.succeeded + succeeded_more, failed = p.failed + failed_more,
        unavailable = p.unavailable + unavailable_more, cancelled = p.cancelled + cancelled_more
      WHERE p.plan_id = counted AND p.state = 'active'
      RETURNING p.fits - p.succeeded - p.failed - p.unavailable - p.cancelled INTO open_fits;
      IF open_fits IS NULL OR open_fits <= 0 THEN
        RAISE EXCEPTION 'the last fit of plan % ended', counted USING ERRCODE = 'TW001';
      END IF;
      RETURN open_fits;
    END $$
    """
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
    on_sqlite = op.get_context().dialect.name == "sqlite"
    for statement in SQLITE_GUARD if on_sqlite else (*POSTGRES_GUARD, POSTGRES_APPEND, POSTGRES_COUNT):
        op.execute(sa.text(statement.replace(":", r"\:")))


def downgrade() -> None:
    raise CommandError("the log only grows: there is no way down; restore a backup instead")
