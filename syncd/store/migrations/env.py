"""Alembic's entry: on the connection it is given, or as SQL text for `--sql`."""

from __future__ import annotations

from alembic import context

from syncd.store.models import Base

connection = context.config.attributes.get("connection")
if connection is None:
    url = context.config.get_main_option("sqlalchemy.url")
    context.configure(url=url, target_metadata=Base.metadata, literal_binds=True, render_as_batch=True)
else:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
