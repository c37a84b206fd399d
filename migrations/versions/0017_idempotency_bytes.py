"""How many bytes of answers an organisation has under its idempotency keys

Revision ID: 0017
Revises: 0016

Written with each answer: adding them up at each request would read them all.
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

MINE = "organization_id = NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
    op.execute("CREATE TABLE IF NOT EXISTS idempotency_bytes (organization_id text PRIMARY KEY, bytes bigint NOT NULL)")
    op.execute("ALTER TABLE idempotency_bytes ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE idempotency_bytes FORCE ROW LEVEL SECURITY")
    for policy in ("tenant", "system"):
        op.execute(f"DROP POLICY IF EXISTS {policy} ON idempotency_bytes")
    op.execute(f"CREATE POLICY tenant ON idempotency_bytes TO paddock_app USING ({MINE}) WITH CHECK ({MINE})")
    op.execute("CREATE POLICY system ON idempotency_bytes TO paddock_system USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_bytes TO paddock_app, paddock_system")
