"""Turns that wait for a runner, and requests that are answered once

Revision ID: 0008
Revises: 0007

`pending` is a turn that no process has taken yet; it holds its conversation as a running one does. `turns.idempotency` is
the request that a turn answers: written with the turn, and unique, so that no second turn is ever accepted for it.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MINE = "organization_id = NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
    op.execute("ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON idempotency_keys TO paddock_app USING ({MINE}) WITH CHECK ({MINE})")
    op.execute("CREATE POLICY system ON idempotency_keys TO paddock_system USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO paddock_app, paddock_system")


STATEMENTS = """
ALTER TABLE turns ADD COLUMN idempotency text, ADD COLUMN queue smallint, ADD COLUMN started_at timestamptz;
CREATE UNIQUE INDEX turns_by_idempotency ON turns (idempotency) WHERE idempotency IS NOT NULL;
CREATE INDEX turns_in_queue ON turns (queue, created_at) WHERE status = 'pending';
CREATE INDEX running_turns_of_queue ON turns (organization_id) WHERE status = 'running' AND queue IS NOT NULL;
DROP INDEX one_running_turn_a_conversation;
CREATE UNIQUE INDEX one_running_turn_a_conversation ON turns (conversation_id)
    WHERE status IN ('pending', 'running') AND conversation_id IS NOT NULL;
CREATE TABLE idempotency_keys (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    request text,
    claim text NOT NULL,
    claimed_until timestamptz NOT NULL,
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at)
"""
