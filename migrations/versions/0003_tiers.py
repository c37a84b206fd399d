"""Which tier of limits an organisation is in where it is not the default one, and which users and keys have one of their own

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
        CREATE TABLE limit_tiers (
            subject_id text PRIMARY KEY,
            organization_id text NOT NULL REFERENCES organizations (id),
            tier text NOT NULL,
            set_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("CREATE INDEX limit_tiers_of_organization ON limit_tiers (organization_id)")
    op.execute("ALTER TABLE limit_tiers ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE limit_tiers FORCE ROW LEVEL SECURITY")
    mine = f"organization_id = {CURRENT_TENANT}"
    op.execute(f"CREATE POLICY tenant ON limit_tiers TO paddock_app USING ({mine}) WITH CHECK ({mine})")
    op.execute("CREATE POLICY system ON limit_tiers TO paddock_system USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON limit_tiers TO paddock_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON limit_tiers TO paddock_system")
