"""Which process of all is the keeper: the one whose connection holds an advisory lock of PostgreSQL."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from core.storage.connection import LOST, REFUSED, DatabaseUnavailable, refusal
from core.storage.database import Database

KEEPER = 0x7061_6464_6B65_6570  # "paddkeep"
ANSWER_SECONDS = 10.0


@asynccontextmanager
async def candidate(database: Database) -> AsyncGenerator[Callable[[], Awaitable[bool]], None]:
    """Gives a function that says whether we are elected, after trying to be. Losing the connection is losing the office.

    Raises DatabaseUnavailable, and so does the function.
    """
    connection = await database.connect()
    held = False

    async def elected() -> bool:
        nonlocal held
        try:
            if held:
                await connection.execute("SELECT 1", timeout=ANSWER_SECONDS)
            else:
                held = await connection.fetchval("SELECT pg_try_advisory_lock($1)", KEEPER, timeout=ANSWER_SECONDS)
        except (*LOST, TimeoutError) as exc:
            raise DatabaseUnavailable(f"PostgreSQL does not answer the keeper: {type(exc).__name__}") from exc
        except REFUSED as exc:
            raise refusal(exc) from exc
        return held

    try:
        yield elected
    finally:
        with suppress(*LOST, TimeoutError):
            await connection.close(timeout=1)
