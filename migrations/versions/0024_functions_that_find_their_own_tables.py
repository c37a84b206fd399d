"""Functions that run as the owner find the schema's own tables, whatever temporary ones a login has made

Revision ID: 0024
Revises: 0023

Where `search_path` does not name `pg_temp`, PostgreSQL looks there first: a temporary `audit_archives` released what no archive
had, and its triggers ran as the owner. So each table is named with its schema, and `pg_temp` is last. What was asked of an
export stays as it was asked.
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for function in FUNCTIONS.split(";;"):
        op.execute(function)
    for name in ("audit_release", "audit_forget"):
        op.execute(f"REVOKE ALL ON FUNCTION {name}(text) FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {name}(text) TO paddock_system")
    op.execute("REVOKE UPDATE ON audit_exports FROM paddock_app")
    op.execute("GRANT UPDATE (status, files, ended_at) ON audit_exports TO paddock_app")


FUNCTIONS = """
CREATE OR REPLACE FUNCTION audit_release(archive text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = paddock, pg_temp AS $$
    WITH released AS (
        DELETE FROM paddock.audit_records r USING paddock.audit_archives a
        WHERE a.id = archive AND a.removed_at IS NULL
            AND r.moment >= (SELECT first_moment FROM paddock.audit_checkpoints WHERE number = a.first_checkpoint)
            AND r.moment < (SELECT end_moment FROM paddock.audit_checkpoints WHERE number = a.last_checkpoint)
        RETURNING 1
    )
    SELECT count(*) FROM released
$$
;;
CREATE OR REPLACE FUNCTION audit_forget(archive text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = paddock, pg_temp AS $$
    UPDATE paddock.audit_sections s SET leaves = NULL FROM paddock.audit_archives a
        WHERE a.id = archive AND s.checkpoint BETWEEN a.first_checkpoint AND a.last_checkpoint;
    WITH removed AS (
        UPDATE paddock.audit_archives SET removed_at = now() WHERE id = archive AND removed_at IS NULL RETURNING 1
    )
    SELECT count(*) FROM removed
$$
"""
