"""Conversations that begin with a part of others

Revision ID: 0013
Revises: 0012

A fork names the conversations whose items it shares, and up to which position of each; nothing is copied. `source_ids` and
`source_ends` belong together, oldest first.
"""

from alembic import op

from migrations.indexes import build

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE conversations ADD COLUMN IF NOT EXISTS source_ids text[] NOT NULL DEFAULT '{}',"
        " ADD COLUMN IF NOT EXISTS source_ends bigint[] NOT NULL DEFAULT '{}'"
    )
    build("conversations_by_source", "conversations USING gin (source_ids)")
