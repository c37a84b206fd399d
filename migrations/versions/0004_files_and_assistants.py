"""Files with their blobs and pins; assistants with their versions

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TENANT_TABLES = {
    "blobs": "SELECT, INSERT, UPDATE, DELETE",
    "files": "SELECT, INSERT, UPDATE, DELETE",
    "file_pins": "SELECT, INSERT, DELETE",
    "assistants": "SELECT, INSERT, UPDATE",
    "assistant_versions": "SELECT, INSERT",
}
MINE = "organization_id = NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
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
CREATE TABLE blobs (
    key text PRIMARY KEY,
    organization_id text NOT NULL,
    sha256 text,
    bytes bigint NOT NULL,
    files integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX blobs_by_digest ON blobs (organization_id, sha256) WHERE files > 0;
CREATE INDEX bytes_of_organization ON blobs (organization_id, bytes);
CREATE INDEX blobs_of_no_file ON blobs (created_at) WHERE files = 0;
CREATE TABLE files (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    blob_key text NOT NULL REFERENCES blobs (key),
    filename text NOT NULL,
    purpose text NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX files_of_organization ON files (organization_id, id);
CREATE INDEX files_of_blob ON files (blob_key);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE file_pins (
    file_id text NOT NULL REFERENCES files (id),
    holder text NOT NULL,
    organization_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (file_id, holder)
);
CREATE INDEX file_pins_of_holder ON file_pins (organization_id, holder);
CREATE TABLE assistants (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX assistants_by_name ON assistants (organization_id, name) WHERE deleted_at IS NULL;
CREATE INDEX assistants_of_organization ON assistants (organization_id, id);
CREATE TABLE assistant_versions (
    assistant_id text NOT NULL REFERENCES assistants (id),
    version integer NOT NULL,
    organization_id text NOT NULL,
    definition text NOT NULL,
    digest text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (assistant_id, version)
)
"""
