"""Series of many rows, calendars' roles, meeting links; channels, farewells and sign-ins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncd.store.types import Instant

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply; nothing is rebuilt, so the guards of `bookings` stay."""
    op.add_column("calendars", sa.Column("role", sa.String(), nullable=True))
    for flag in ("is_primary", "is_hidden", "makes_links"):
        op.add_column("calendars", sa.Column(flag, sa.Boolean(), nullable=False, server_default=sa.false()))
    for instant in ("notified_at", "next_watch_at", "live_until_at"):
        op.add_column("calendars", sa.Column(instant, Instant(), nullable=True))
    op.add_column("calendars", sa.Column("watch_attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("events", sa.Column("series_id", sa.String(), nullable=False, server_default=""))
    op.create_index(
        op.f("ix_events_calendar_id_generation_series_id"), "events", ["calendar_id", "generation", "series_id"]
    )
    op.add_column("booking_events", sa.Column("join_url", sa.String(), nullable=True))
    for flag in ("link_pending", "invited"):
        op.add_column("booking_events", sa.Column(flag, sa.Boolean(), nullable=False, server_default=sa.false()))
    _add_channels()
    _add_farewells()
    _add_sign_ins()


def _add_channels() -> None:
    op.create_table(
        "channels",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("calendar_id", sa.String(), nullable=False),
        sa.Column("resource_id", sa.String(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("confirmed_at", Instant(), nullable=True),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["calendar_id"], ["calendars.id"], name=op.f("fk_channels_calendar_id_calendars"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
    )
    op.create_index(op.f("ix_channels_calendar_id"), "channels", ["calendar_id"])


def _add_farewells() -> None:
    op.create_table(
        "farewells",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_farewells")),
    )
    op.create_index(op.f("ix_farewells_due_at"), "farewells", ["due_at"])


def _add_sign_ins() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("freelancer_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["freelancer_id"],
            ["freelancers.id"],
            name=op.f("fk_sign_ins_freelancer_id_freelancers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
    )
    op.create_index(op.f("ix_sign_ins_expires_at"), "sign_ins", ["expires_at"])
