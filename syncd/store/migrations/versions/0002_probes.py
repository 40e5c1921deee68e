"""What calendars' servers were seen to do; what was last understood in full of events that are so only in part."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncd.store.types import Instant

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply; nothing is rebuilt, so the guards of `bookings` stay."""
    with op.batch_alter_table("calendars") as calendars:
        calendars.add_column(sa.Column("probe", sa.JSON(), nullable=True))
        calendars.add_column(sa.Column("probed_at", Instant(), nullable=True))
    with op.batch_alter_table("events") as events:
        events.add_column(sa.Column("understood", sa.String(), nullable=False, server_default=""))
