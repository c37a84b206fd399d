"""Roles of users, people whom an identity provider knows, what was deactivated; the keys that open something now

Revision ID: 0002
Revises: 0001

`live_keys` is the one place that says when a key counts: neither revoked nor expired, and its user and organisation active.
The users of before this migration were each the first of their organisation, so they own it.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)


STATEMENTS = """
ALTER TABLE organizations ADD COLUMN external_id text, ADD COLUMN deactivated_at timestamptz;
CREATE UNIQUE INDEX organizations_by_external_id ON organizations (external_id) WHERE external_id IS NOT NULL;
ALTER TABLE users ADD COLUMN role text NOT NULL DEFAULT 'owner', ADD COLUMN subject text,
    ADD COLUMN deactivated_at timestamptz;
CREATE UNIQUE INDEX users_by_subject ON users (organization_id, subject) WHERE subject IS NOT NULL;
ALTER TABLE api_keys ADD COLUMN kind text NOT NULL DEFAULT 'key', ADD COLUMN role text;
CREATE INDEX api_keys_of_user ON api_keys (user_id);
CREATE VIEW live_keys WITH (security_invoker = true) AS
    SELECT k.id FROM api_keys k JOIN users u ON u.id = k.user_id JOIN organizations o ON o.id = k.organization_id
    WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
        AND u.deactivated_at IS NULL AND o.deactivated_at IS NULL;
GRANT SELECT ON live_keys TO paddock_system;
GRANT INSERT, UPDATE, DELETE ON users TO paddock_app;
GRANT DELETE ON api_keys TO paddock_app
"""
