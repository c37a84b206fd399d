"""${message}

Expand, backfill, contract: three migrations in three releases, since two versions of the server run side by side.
* A new column is nullable or has a constant default. A column is dropped one release after the code stopped naming it.
* An index on a table with rows: `migrations.indexes.build`, which can be cut off and done again; so must be what stands before it.
* A constraint: first NOT VALID, then VALIDATE in a migration of its own.
* A backfill runs in batches with a commit each, never in one statement.
* A new tenant table: organization_id, ENABLE and FORCE row-level security, both policies, grants (see 0001's `_tenant_table`).
Locks wait 5 s and statements run 60 s at most (env.py): a migration that needs more is to be split.

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
"""

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
