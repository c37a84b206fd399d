"""DBOS, a workflow of three steps; runs in its own environment. Argument: the database."""

import asyncio
import sys

from dbos import DBOS
from rounds import serve


@DBOS.step()
async def ask(prompt: str) -> str:
    return "call " + prompt


@DBOS.step()
async def compute(call: str) -> str:
    return str(6 * 7)


@DBOS.step()
async def answer(result: str) -> str:
    return f"It is {result}"


@DBOS.workflow()
async def turn(prompt: str) -> str:
    return await answer(await compute(await ask(prompt)))


async def one() -> None:
    assert await turn("compute") == "It is 42"


if __name__ == "__main__":
    DBOS(
        config={
            "name": "bench",
            "system_database_url": sys.argv[1],
            "sys_db_pool_size": 16,
            "log_level": "ERROR",
            "run_migrations": True,
        }
    )
    DBOS.launch()
    try:
        asyncio.run(serve(one))
    finally:
        DBOS.destroy()
