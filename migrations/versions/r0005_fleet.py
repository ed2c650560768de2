"""Several hosts: what each offers and fits need, whether it drains, and when it was last heard of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "r0005"
down_revision = "r0004"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("fit", sa.Column("labels", sa.Text()))
    for name in ("labels", "draining"):
        op.add_column("host", sa.Column(name, sa.Text()))
    for name, default in (("machine", ""), ("engine", "own")):
        told = sa.Column(name, sa.Text(), nullable=False, server_default=sa.text(f"'{default}'"))
        op.add_column("host", told)
    op.add_column("host", sa.Column("give_back", INTEGER, nullable=False, server_default=sa.text("0")))
    op.add_column("host", sa.Column("removed_at", INTEGER))
    op.create_table(
        "beat",
        sa.Column("host", sa.Text(), primary_key=True),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("at", INTEGER, nullable=False),
        sa.Column("running", INTEGER, nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False, server_default=""),
        sqlite_strict=True,
    )


def downgrade() -> None:
    raise CommandError("the log only grows: there is no way down; restore a backup instead")
