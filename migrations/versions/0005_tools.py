"""The registry: tools, their immutable versions, and what their quotas have counted

Revision ID: 0005
Revises: 0004

The ledger gets an index for usage by tool; it is built without a lock that writers would wait for.
"""

from alembic import op

from migrations.indexes import build

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TENANT_TABLES = {
    "tools": "SELECT, INSERT, UPDATE, DELETE",
    "tool_versions": "SELECT, INSERT, DELETE",
    "tool_counts": "SELECT, INSERT, UPDATE, DELETE",
}
MINE = "organization_id = NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
    build("tool_ledger_by_tool", "tool_ledger (organization_id, tool, created_at)")
    for statement in TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
    for table, grants in TENANT_TABLES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} TO paddock_app USING ({MINE}) WITH CHECK ({MINE})")
        op.execute(f"CREATE POLICY system ON {table} TO paddock_system USING (true) WITH CHECK (true)")
        op.execute(f"GRANT {grants} ON {table} TO paddock_app")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO paddock_system")


TABLES = """
CREATE TABLE tools (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    digest text NOT NULL,
    enabled boolean NOT NULL,
    grants text[] NOT NULL,
    quotas text NOT NULL,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX tools_by_name ON tools (organization_id, name) WHERE deleted_at IS NULL;
CREATE INDEX tools_of_organization ON tools (organization_id, id);
CREATE TABLE tool_versions (
    tool_id text NOT NULL REFERENCES tools (id),
    version integer NOT NULL,
    organization_id text NOT NULL,
    digest text NOT NULL,
    manifest text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tool_id, version)
);
CREATE INDEX tool_versions_by_digest ON tool_versions (organization_id, digest);
CREATE TABLE tool_counts (
    tool_id text NOT NULL,
    subject text NOT NULL,
    period text NOT NULL,
    organization_id text NOT NULL,
    starts_at timestamptz NOT NULL,
    calls bigint NOT NULL,
    PRIMARY KEY (tool_id, subject, period)
)
"""
