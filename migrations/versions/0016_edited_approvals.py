"""Who wrote the arguments that an approval is for, where the model did not

Revision ID: 0016
Revises: 0015

Under four eyes that person is no second pair for them.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE approvals ADD COLUMN IF NOT EXISTS edited_by text")
