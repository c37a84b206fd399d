"""When a turn's stream was removed, and which turns have one

Revision ID: 0015
Revises: 0014

What only a stream needs can go before the answer does.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE turns ADD COLUMN stream_removed_at timestamptz")
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS turns_with_streams"
            " ON turns (ended_at) WHERE stored AND ended_at IS NOT NULL AND stream_removed_at IS NULL"
        )
