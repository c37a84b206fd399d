"""Organisations, keys, conversations, turns with their journal, items and ledger

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TENANT_TABLES = {
    # table: what a tenant's transaction may do. The journal, the ledger and the turns are written by the system role alone.
    "users": "SELECT",
    "api_keys": "SELECT, INSERT, UPDATE",
    "conversations": "SELECT, INSERT, UPDATE",
    "turns": "SELECT",
    "turn_events": "SELECT",
    "items": "SELECT, INSERT, DELETE",
    "tool_ledger": "SELECT",
}


def upgrade() -> None:
    for statement in TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
    for table, grants in TENANT_TABLES.items():
        _tenant_table(table, grants)
    op.execute("ALTER TABLE organizations ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE organizations FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON organizations TO paddock_app USING (id = {CURRENT_TENANT})")
    op.execute("CREATE POLICY system ON organizations TO paddock_system USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT ON organizations TO paddock_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON organizations TO paddock_system")


CURRENT_TENANT = "NULLIF(current_setting('paddock.organization_id', true), '')"


def _tenant_table(table: str, grants: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    mine = f"organization_id = {CURRENT_TENANT}"
    op.execute(f"CREATE POLICY tenant ON {table} TO paddock_app USING ({mine}) WITH CHECK ({mine})")
    op.execute(f"CREATE POLICY system ON {table} TO paddock_system USING (true) WITH CHECK (true)")
    op.execute(f"GRANT {grants} ON {table} TO paddock_app")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO paddock_system")


TABLES = """
CREATE TABLE organizations (
    id text PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE users (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES organizations (id),
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_users_organization_id ON users (organization_id);
CREATE TABLE api_keys (
    id text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES organizations (id),
    user_id text NOT NULL REFERENCES users (id),
    name text NOT NULL,
    prefix text NOT NULL,
    secret_sha256 text NOT NULL UNIQUE,
    scopes text[] NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_api_keys_organization_id ON api_keys (organization_id);
CREATE TABLE conversations (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    metadata text NOT NULL,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_conversations_organization_id ON conversations (organization_id);
CREATE TABLE turns (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    user_id text NOT NULL,
    key_id text NOT NULL,
    conversation_id text,
    previous_turn_id text,
    model text NOT NULL,
    status text NOT NULL,
    stored boolean NOT NULL,
    wire text NOT NULL,
    request text NOT NULL,
    metadata text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    reason text,
    message text,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cached_tokens bigint NOT NULL DEFAULT 0,
    reasoning_tokens bigint NOT NULL DEFAULT 0,
    cancel_requested_at timestamptz,
    lease_owner text NOT NULL,
    lease_epoch bigint NOT NULL,
    lease_expires_at timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX turns_by_organization ON turns (organization_id, created_at);
CREATE UNIQUE INDEX one_running_turn_a_conversation ON turns (conversation_id)
    WHERE status = 'running' AND conversation_id IS NOT NULL;
CREATE INDEX running_turns_by_lease ON turns (lease_expires_at) WHERE status = 'running';
CREATE TABLE turn_events (
    turn_id text NOT NULL,
    seq bigint NOT NULL,
    organization_id text NOT NULL,
    payload text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (turn_id, seq)
);
CREATE TABLE items (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    conversation_id text,
    turn_id text,
    is_input boolean NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    payload text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX items_of_conversation ON items (conversation_id, position) WHERE conversation_id IS NOT NULL;
CREATE INDEX items_of_turn ON items (turn_id, position) WHERE turn_id IS NOT NULL;
CREATE TABLE tool_ledger (
    turn_id text NOT NULL,
    call_path text NOT NULL,
    organization_id text NOT NULL,
    tool text NOT NULL,
    version_digest text NOT NULL,
    effect text NOT NULL,
    state text NOT NULL,
    arguments_digest text NOT NULL,
    result_digest text,
    lease_epoch bigint NOT NULL,
    seconds double precision,
    created_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    PRIMARY KEY (turn_id, call_path)
)
"""
