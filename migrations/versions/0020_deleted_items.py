"""Where deleted items stood: whoever reads a conversation's list page by page, and deletes what was read, goes on from there

Revision ID: 0020
Revises: 0019
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

MINE = "organization_id = NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
    op.execute("ALTER TABLE deleted_items ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE deleted_items FORCE ROW LEVEL SECURITY")
    for policy in ("tenant", "system"):
        op.execute(f"DROP POLICY IF EXISTS {policy} ON deleted_items")
    op.execute(f"CREATE POLICY tenant ON deleted_items TO paddock_app USING ({MINE}) WITH CHECK ({MINE})")
    op.execute("CREATE POLICY system ON deleted_items TO paddock_system USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT ON deleted_items TO paddock_app")
    op.execute("GRANT SELECT, INSERT, DELETE ON deleted_items TO paddock_system")


STATEMENTS = """
CREATE TABLE IF NOT EXISTS deleted_items (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    conversation_id text NOT NULL,
    position bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS deleted_items_of_conversation ON deleted_items (conversation_id)
"""
