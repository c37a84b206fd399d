"""Indexes on tables with rows are built while these are read and written. Knows no table."""

from alembic import op


def build(name: str, on: str) -> None:
    """on: what follows ON. What was left by an attempt that was cut off, and is of no use to PostgreSQL, goes first.

    It commits what the migration has done before, which therefore must bear to be done again (`IF NOT EXISTS`).
    """
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # nobody waits for who waits here
        op.execute("SET statement_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {on}")
        op.execute("SET lock_timeout = '5s'")
        op.execute("SET statement_timeout = '60s'")
