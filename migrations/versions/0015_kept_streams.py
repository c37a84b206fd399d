"""When a turn's stream was removed, and which turns have one

Revision ID: 0015
Revises: 0014

What only a stream needs can go before the answer does.
"""

from alembic import op

from migrations.indexes import build

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE turns ADD COLUMN IF NOT EXISTS stream_removed_at timestamptz")
    build("turns_with_streams", "turns (ended_at) WHERE stored AND ended_at IS NOT NULL AND stream_removed_at IS NULL")
