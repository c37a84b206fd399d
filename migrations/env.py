"""Runs the migrations on the connection that `core.storage.migrate` hands over. Forward only."""

from alembic import context

from core.storage.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
