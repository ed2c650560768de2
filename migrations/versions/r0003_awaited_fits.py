"""Fits that are made from others: what each awaits, who follows it, which targets it learns beside its."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "r0003"
down_revision = "r0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("awaits", "followers", "other_targets"):
        op.add_column("fit", sa.Column(name, sa.Text()))


def downgrade() -> None:
    raise CommandError("the log only grows: there is no way down; restore a backup instead")
