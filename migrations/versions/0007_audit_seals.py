"""What seals the audit log: checkpoints, each organisation's section in them, the keys that signed; exports and archives

Revision ID: 0007
Revises: 0006

A checkpoint covers the records of `[first_moment, end_moment)`. `audit_release` is the only way in which records leave their
table: those of sealed checkpoints that an archive holds. Their sections stay, so that the proof does.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TENANT_TABLES = {
    "audit_sections": ("SELECT", "SELECT, INSERT"),
    "audit_archives": ("SELECT", "SELECT, INSERT, UPDATE"),
    "audit_exports": ("SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE, DELETE"),
}
SYSTEM_TABLES = {"audit_checkpoints": "SELECT, INSERT", "audit_keys": "SELECT, INSERT"}
MINE = "organization_id = NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
    for statement in TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
    for table, (tenant, system) in TENANT_TABLES.items():
        _close(table, system)
        op.execute(f"CREATE POLICY tenant ON {table} TO paddock_app USING ({MINE}) WITH CHECK ({MINE})")
        op.execute(f"GRANT {tenant} ON {table} TO paddock_app")
    for table, system in SYSTEM_TABLES.items():
        _close(table, system)
    op.execute("CREATE POLICY owner ON audit_records TO paddock_owner USING (true)")
    op.execute("CREATE POLICY owner ON audit_sections TO paddock_owner USING (true) WITH CHECK (true)")
    op.execute("CREATE POLICY owner ON audit_checkpoints FOR SELECT TO paddock_owner USING (true)")
    op.execute("CREATE POLICY owner ON audit_archives FOR SELECT TO paddock_owner USING (true)")
    op.execute(RELEASE)
    op.execute("REVOKE ALL ON FUNCTION audit_release(text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION audit_release(text) TO paddock_system")


def _close(table: str, system: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY system ON {table} TO paddock_system USING (true) WITH CHECK (true)")
    op.execute(f"GRANT {system} ON {table} TO paddock_system")


TABLES = """
CREATE TABLE audit_checkpoints (
    number bigint PRIMARY KEY,
    first_moment bigint NOT NULL,
    end_moment bigint NOT NULL,
    records integer NOT NULL,
    earliest timestamptz NOT NULL,
    latest timestamptz NOT NULL,
    key_id text NOT NULL,
    note text NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE audit_sections (
    organization_id text NOT NULL,
    checkpoint bigint NOT NULL,
    place integer NOT NULL,
    first bigint NOT NULL,
    size integer NOT NULL,
    root bytea NOT NULL,
    path bytea NOT NULL,
    leaves bytea,
    PRIMARY KEY (organization_id, checkpoint)
);
CREATE INDEX audit_sections_by_checkpoint ON audit_sections (checkpoint);
CREATE TABLE audit_keys (
    id text PRIMARY KEY,
    public_key text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE audit_exports (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    user_id text NOT NULL,
    key_id text NOT NULL,
    request text NOT NULL,
    status text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    records bigint NOT NULL DEFAULT 0,
    checkpoints bigint NOT NULL DEFAULT 0,
    checkpoints_total bigint,
    files text NOT NULL DEFAULT '[]',
    problems text NOT NULL DEFAULT '[]',
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX audit_exports_of_organization ON audit_exports (organization_id, id);
CREATE INDEX audit_exports_to_do ON audit_exports (id) WHERE status IN ('queued', 'running');
CREATE TABLE audit_archives (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    first_checkpoint bigint NOT NULL,
    last_checkpoint bigint NOT NULL,
    records bigint NOT NULL,
    latest timestamptz NOT NULL,
    object_key text NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz
);
CREATE INDEX audit_archives_of_organization ON audit_archives (organization_id, first_checkpoint)
"""

RELEASE = """
CREATE FUNCTION audit_release(archive text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = paddock AS $$
    UPDATE audit_sections s SET leaves = NULL FROM audit_archives a
        WHERE a.id = archive AND s.organization_id = a.organization_id
            AND s.checkpoint BETWEEN a.first_checkpoint AND a.last_checkpoint;
    WITH released AS (
        DELETE FROM audit_records r USING audit_archives a
        WHERE a.id = archive AND r.organization_id = a.organization_id
            AND r.moment >= (SELECT first_moment FROM audit_checkpoints WHERE number = a.first_checkpoint)
            AND r.moment < (SELECT end_moment FROM audit_checkpoints WHERE number = a.last_checkpoint)
        RETURNING 1
    )
    SELECT count(*) FROM released;
$$
"""
