"""The approvals of a conversation that is deleted are found without a look at all of them

Revision ID: 0025
Revises: 0024
"""

from migrations.indexes import build

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    build("approvals_of_conversation", "approvals (conversation_id) WHERE conversation_id IS NOT NULL")
