"""The journal locks the subject whose text it writes: an erasure waits for it, or it finds the subject gone

Revision ID: 0019
Revises: 0018
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("GRANT UPDATE (subject) ON audit_subjects TO paddock_system")  # what a lock of a row takes
