"""How far each duty has come with the log, for whichever host has the duty next."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "r0006"
down_revision = "r0005"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "cursor",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("seq", INTEGER, nullable=False),
        sa.Column("at", INTEGER, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sqlite_strict=True,
    )


def downgrade() -> None:
    raise CommandError("the log only grows: there is no way down; restore a backup instead")
