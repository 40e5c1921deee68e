"""Private links; what bookings need for holds, approvals, and what happens after them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncd.store.types import Instant

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply; nothing is rebuilt, so the guards of `bookings` stay."""
    op.create_table(
        "links",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("freelancer_id", sa.String(), nullable=False),
        sa.Column("consultation_id", sa.String(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("client", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["freelancer_id"],
            ["freelancers.id"],
            name=op.f("fk_links_freelancer_id_freelancers"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consultation_id"],
            ["consultations.id"],
            name=op.f("fk_links_consultation_id_consultations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
    )
    op.create_index(op.f("ix_links_consultation_id"), "links", ["consultation_id"])
    for table in ("freelancers", "consultations"):
        op.add_column(table, sa.Column("removed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("freelancers", sa.Column("feed_generation", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("accounts", sa.Column("told_to_wait", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("calendars", sa.Column("corrections", sa.Integer(), nullable=False, server_default="0"))
    for column in _of_bookings():
        op.add_column("bookings", column)
    op.create_index(op.f("ix_bookings_updated_at"), "bookings", ["updated_at"])
    op.create_index(op.f("ix_bookings_link_id"), "bookings", ["link_id"])
    op.create_index(op.f("ix_bookings_state_overdue_at"), "bookings", ["state", "overdue_at"])
    _fill()


def _of_bookings() -> list[sa.Column[object]]:
    return [
        sa.Column("client_address", sa.String(), nullable=False, server_default=""),
        sa.Column("decided", sa.JSON(), nullable=True),
        sa.Column("attendance", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("reports", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("documents", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("completed_by", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("approved_at", Instant(), nullable=True),
        sa.Column("dispute", sa.JSON(), nullable=True),
        sa.Column("held_from", sa.String(), nullable=True),
        sa.Column("overdue_at", Instant(), nullable=True),
        sa.Column("link_id", sa.String(), nullable=True),
        sa.Column("paid_by", sa.String(), nullable=True),
    ]


_FILL = {
    "sqlite": """
UPDATE bookings SET client_address = lower(coalesce(json_extract(client, '$.email'), '')), overdue_at = CASE state
    WHEN 'confirmed' THEN ends_at + 60000000 * json_extract(policy, '$.complete_after_minutes') END
""",
    "postgresql": """
UPDATE bookings SET client_address = lower(coalesce(client ->> 'email', '')), overdue_at = CASE state
    WHEN 'confirmed' THEN ends_at + (policy ->> 'complete_after_minutes')::int * interval '1 minute' END
""",
}


def _fill() -> None:
    """Say of bookings made before what the new columns say of later ones."""
    op.execute(_FILL[op.get_context().dialect.name])
