"""Alerts: what each server measured lately, what is or was wrong, and what has to be told to whom

Revision ID: 0009
Revises: 0008

They are the operator's and belong to no tenant: only the system's role gets at them.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
    for table in ("metric_samples", "alerts", "alert_messages"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY system ON {table} TO paddock_system USING (true) WITH CHECK (true)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO paddock_system")


TABLES = """
CREATE TABLE metric_samples (
    server text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    series text NOT NULL,
    PRIMARY KEY (server, at)
);
CREATE INDEX metric_samples_by_time ON metric_samples (at);
CREATE TABLE alerts (
    id text PRIMARY KEY,
    rule text NOT NULL,
    severity text NOT NULL,
    summary text NOT NULL,
    value double precision NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz
);
CREATE UNIQUE INDEX one_firing_alert_a_rule ON alerts (rule) WHERE resolved_at IS NULL;
CREATE TABLE alert_messages (
    id text PRIMARY KEY,
    alert_id text NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    receiver text NOT NULL,
    body text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    given_up_at timestamptz,
    error text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alert_messages_of_alert ON alert_messages (alert_id, receiver);
CREATE INDEX alert_messages_to_send ON alert_messages (next_at) WHERE delivered_at IS NULL AND given_up_at IS NULL
"""
