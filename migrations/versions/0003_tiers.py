"""Which tier of limits an organisation is in, where it is not the default one

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CURRENT_TENANT = "NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE organization_tiers (
            organization_id text PRIMARY KEY REFERENCES organizations (id),
            tier text NOT NULL,
            set_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("ALTER TABLE organization_tiers ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE organization_tiers FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON organization_tiers TO paddock_app USING (organization_id = {CURRENT_TENANT})")
    op.execute("CREATE POLICY system ON organization_tiers TO paddock_system USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT ON organization_tiers TO paddock_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON organization_tiers TO paddock_system")
