"""Turns run under keys that may chat and under no others; a revoked bearer token outlives its user

Revision ID: 0022
Revises: 0021

`live_keys` is what turns ask. Roles that allow the scope `chat` are those of core/identity/principals.py.
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

MINE = "organization_id = NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
    op.execute("ALTER TABLE revoked_tokens ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE revoked_tokens FORCE ROW LEVEL SECURITY")
    for policy in ("tenant", "system"):
        op.execute(f"DROP POLICY IF EXISTS {policy} ON revoked_tokens")
    op.execute(f"CREATE POLICY tenant ON revoked_tokens TO paddock_app USING ({MINE}) WITH CHECK ({MINE})")
    op.execute("CREATE POLICY system ON revoked_tokens TO paddock_system USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, DELETE ON revoked_tokens TO paddock_app")
    op.execute("GRANT SELECT ON revoked_tokens TO paddock_system")


STATEMENTS = """
CREATE OR REPLACE VIEW live_keys WITH (security_invoker = true) AS
    SELECT k.id FROM api_keys k JOIN users u ON u.id = k.user_id JOIN organizations o ON o.id = k.organization_id
    WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
        AND u.deactivated_at IS NULL AND o.deactivated_at IS NULL
        AND 'chat' = ANY(k.scopes) AND COALESCE(k.role, u.role) IN ('owner', 'admin', 'member');
CREATE TABLE IF NOT EXISTS revoked_tokens (
    secret_sha256 text PRIMARY KEY,
    organization_id text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS revoked_tokens_by_expiry ON revoked_tokens (organization_id, expires_at)
"""
