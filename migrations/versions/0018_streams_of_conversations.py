"""Streams whose conversation was deleted, and that are to go with it

Revision ID: 0018
Revises: 0017
"""

from alembic import op

from migrations.indexes import build

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE turns ADD COLUMN IF NOT EXISTS stream_due_at timestamptz")
    build("turns_with_streams_due", "turns (stream_due_at) WHERE stream_due_at IS NOT NULL AND stream_removed_at IS NULL")
