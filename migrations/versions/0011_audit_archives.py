"""Archives of the audit log hold everybody's records of some checkpoints; hashes stay until an archive is removed

Revision ID: 0011
Revises: 0010

One object in storage for thousands of records of all organisations, instead of one for each of them. `audit_release` is the
only way in which records leave their table, those of an archive; the hash of each stays, so that a changed archive is told by
record. `audit_forget` takes the hashes too, when an archive's time is over: each section's root stays, and with it the proof
of all others.
Nothing was archived before this migration.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP FUNCTION audit_release(text)")
    op.execute("DROP TABLE audit_archives")
    op.execute(TABLE)
    op.execute("ALTER TABLE audit_archives ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE audit_archives FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY system ON audit_archives TO paddock_system USING (true) WITH CHECK (true)")
    op.execute("CREATE POLICY owner ON audit_archives TO paddock_owner USING (true)")
    op.execute("GRANT SELECT, INSERT ON audit_archives TO paddock_system")
    for function in FUNCTIONS.split(";;"):
        op.execute(function)
    for name in ("audit_release", "audit_forget"):
        op.execute(f"REVOKE ALL ON FUNCTION {name}(text) FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name}(text) TO paddock_system")


TABLE = """
CREATE TABLE audit_archives (
    id text PRIMARY KEY,
    first_checkpoint bigint NOT NULL UNIQUE,
    last_checkpoint bigint NOT NULL,
    records bigint NOT NULL,
    latest timestamptz NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    parts text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz
)
"""

FUNCTIONS = """
CREATE FUNCTION audit_release(archive text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = paddock AS $$
    WITH released AS (
        DELETE FROM audit_records r USING audit_archives a
        WHERE a.id = archive AND a.removed_at IS NULL
            AND r.moment >= (SELECT first_moment FROM audit_checkpoints WHERE number = a.first_checkpoint)
            AND r.moment < (SELECT end_moment FROM audit_checkpoints WHERE number = a.last_checkpoint)
        RETURNING 1
    )
    SELECT count(*) FROM released
$$
;;
CREATE FUNCTION audit_forget(archive text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = paddock AS $$
    UPDATE audit_sections s SET leaves = NULL FROM audit_archives a
        WHERE a.id = archive AND s.checkpoint BETWEEN a.first_checkpoint AND a.last_checkpoint;
    WITH removed AS (
        UPDATE audit_archives SET removed_at = now() WHERE id = archive AND removed_at IS NULL RETURNING 1
    )
    SELECT count(*) FROM removed
$$
"""
