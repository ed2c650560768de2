"""The order of claims among plans: since when each waits, and the ready fits of a plan in their order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "r0004"
down_revision = "r0003"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    queued_at = sa.Column("queued_at", INTEGER, nullable=False, server_default=sa.text("0"))
    op.add_column("plan", queued_at)
    op.execute("UPDATE plan SET queued_at = accepted_at")  # until the store folds it, when it is next opened
    create_partial_index("plan_open", "plan", ["accepted_seq"], "state = 'active'")
    op.drop_index("fit_ready", "fit")
    order = ["stage", "plan_order", sa.text("priority DESC"), "ordinal"]
    create_partial_index("fit_ready", "fit", order, "state = 'ready'")


def create_partial_index(name: str, table: str, columns: list[str | sa.TextClause], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    raise CommandError("the log only grows: there is no way down; restore a backup instead")
