"""What waits is found by whose it is, and what was cancelled while it waited by itself

Revision ID: 0014
Revises: 0013

Taking a turn reads the head of each organisation's queue, and no more of it.
"""

from alembic import op

from migrations.indexes import build

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    build("waiting_turns_of_organization", "turns (organization_id, queue, created_at, id) WHERE status = 'pending'")
    build("waiting_turns_to_cancel", "turns (created_at) WHERE status = 'pending' AND cancel_requested_at IS NOT NULL")
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS turns_in_queue")
