"""Who is told of turns in the background, what each was told, and batches of turns

Revision ID: 0012
Revises: 0011

A delivery is written in the transaction that ends what it tells of; it holds ids, and its body is made of them.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TENANT_TABLES = ("webhook_endpoints", "webhook_deliveries", "batches", "batch_lines")
MINE = "organization_id = NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} TO paddock_app USING ({MINE}) WITH CHECK ({MINE})")
        op.execute(f"CREATE POLICY system ON {table} TO paddock_system USING (true) WITH CHECK (true)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO paddock_app, paddock_system")


STATEMENTS = """
CREATE INDEX turns_by_start ON turns (organization_id, started_at) WHERE started_at IS NOT NULL;
CREATE TABLE webhook_endpoints (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    secret text NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_endpoints_of_organization ON webhook_endpoints (organization_id, id);
CREATE TABLE webhook_deliveries (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    endpoint_id text NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    event text NOT NULL,
    object_id text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    given_up_at timestamptz,
    error text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_deliveries_of_organization ON webhook_deliveries (organization_id, id);
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id);
CREATE INDEX webhook_deliveries_to_send ON webhook_deliveries (next_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);
CREATE TABLE batches (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    principal text NOT NULL,
    endpoint text NOT NULL,
    input_file_id text NOT NULL,
    completion_window text NOT NULL,
    metadata text NOT NULL,
    status text NOT NULL,
    total integer NOT NULL DEFAULT 0,
    completed integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    output_file_id text,
    error_file_id text,
    problem text,
    worker text,
    worked_until timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    in_progress_at timestamptz,
    finalizing_at timestamptz,
    cancelling_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX batches_of_organization ON batches (organization_id, id);
CREATE INDEX batches_to_do ON batches (worked_until) WHERE ended_at IS NULL;
CREATE TABLE batch_lines (
    batch_id text NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    line integer NOT NULL,
    organization_id text NOT NULL,
    custom_id text NOT NULL,
    body text,
    turn_id text,
    error text,
    PRIMARY KEY (batch_id, line)
);
CREATE INDEX batch_lines_of_turn ON batch_lines (turn_id) WHERE turn_id IS NOT NULL
"""
