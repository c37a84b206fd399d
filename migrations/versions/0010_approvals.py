"""Calls that wait for a human, and the turn that takes up what was decided

Revision ID: 0010
Revises: 0009

`turns.continues` is the turn whose calls were decided on: written with the one that goes on, and unique, so that no approval
is ever used by a second turn.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MINE = "organization_id = NULLIF(current_setting('paddock.organization_id', true), '')"


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            op.execute(statement)
    op.execute("ALTER TABLE approvals ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE approvals FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON approvals TO paddock_app USING ({MINE}) WITH CHECK ({MINE})")
    op.execute("CREATE POLICY system ON approvals TO paddock_system USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, UPDATE ON approvals TO paddock_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON approvals TO paddock_system")


STATEMENTS = """
ALTER TABLE turns ADD COLUMN continues text;
CREATE UNIQUE INDEX turns_by_what_they_continue ON turns (continues) WHERE continues IS NOT NULL;
CREATE TABLE approvals (
    id text PRIMARY KEY,
    organization_id text NOT NULL,
    turn_id text NOT NULL,
    conversation_id text,
    user_id text NOT NULL,
    key_id text NOT NULL,
    tool text NOT NULL,
    version_digest text NOT NULL,
    arguments text NOT NULL,
    digest text NOT NULL,
    four_eyes boolean NOT NULL,
    expires_seconds integer NOT NULL,
    status text NOT NULL,
    edited boolean NOT NULL DEFAULT false,
    reason text,
    decided_by text,
    decided_at timestamptz,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX approvals_of_organization ON approvals (organization_id, id);
CREATE INDEX approvals_of_turn ON approvals (turn_id);
CREATE INDEX approvals_by_decision ON approvals (decided_at) WHERE status IN ('approved', 'denied')
"""
