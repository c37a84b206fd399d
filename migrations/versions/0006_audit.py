"""The audit log: records that are only ever added, and personal text apart from them, under keys that can be destroyed

Revision ID: 0006
Revises: 0005

No role of the server may change or remove a record. What a record is found by is taken from its own text, so that the two
cannot differ. `moment` orders transactions: the number of the transaction that wrote a record, moved by `audit_offset()` after
a restore into a cluster that counts from the beginning again (core/storage/migrate.py).
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TENANT_TABLES = {
    # table: what a tenant's transaction may do, and what the system's
    "audit_records": ("SELECT, INSERT", "SELECT, INSERT"),
    "audit_subjects": ("SELECT, INSERT", "SELECT, INSERT, DELETE"),
    "audit_personal": ("SELECT, INSERT", "SELECT, INSERT, DELETE"),
}
MINE = "organization_id = NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
    for table, (tenant, system) in TENANT_TABLES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} TO paddock_app USING ({MINE}) WITH CHECK ({MINE})")
        op.execute(f"CREATE POLICY system ON {table} TO paddock_system USING (true) WITH CHECK (true)")
        op.execute(f"GRANT {tenant} ON {table} TO paddock_app")
        op.execute(f"GRANT {system} ON {table} TO paddock_system")


STATEMENTS = """
CREATE FUNCTION audit_offset() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 0;
CREATE TABLE audit_records (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    moment bigint NOT NULL DEFAULT audit_offset() + pg_current_xact_id()::text::bigint,
    record json NOT NULL,
    kind text GENERATED ALWAYS AS (record ->> 'kind') STORED,
    actor text GENERATED ALWAYS AS (record ->> 'actor') STORED,
    object text GENERATED ALWAYS AS (record ->> 'object') STORED,
    outcome text GENERATED ALWAYS AS (record ->> 'outcome') STORED
);
CREATE INDEX audit_records_by_moment ON audit_records (moment, id);
CREATE INDEX audit_records_of_organization ON audit_records (organization_id, moment, id);
CREATE INDEX audit_records_by_object ON audit_records (organization_id, object, moment, id);
CREATE TABLE audit_subjects (
    organization_id text NOT NULL,
    subject text NOT NULL,
    key bytea NOT NULL,
    PRIMARY KEY (organization_id, subject)
);
CREATE TABLE audit_personal (
    record_id text PRIMARY KEY,
    organization_id text NOT NULL,
    subject text NOT NULL,
    text text NOT NULL
);
CREATE INDEX audit_personal_of_subject ON audit_personal (organization_id, subject)
"""
