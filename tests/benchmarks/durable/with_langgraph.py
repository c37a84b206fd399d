"""LangGraph, its Postgres checkpointer in `sync` mode, three nodes; runs in its own environment. Argument: the database."""

import asyncio
import operator
import sys
import uuid
from typing import Annotated, TypedDict

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from rounds import serve


class State(TypedDict):
    messages: Annotated[list[str], operator.add]


async def ask(state: State) -> State:
    return {"messages": ["call compute"]}


async def compute(state: State) -> State:
    return {"messages": [str(6 * 7)]}


async def answer(state: State) -> State:
    return {"messages": [f"It is {state['messages'][-1]}"]}


async def main(database: str) -> None:
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(database, min_size=16, max_size=16, kwargs=options) as pool:
        saver = AsyncPostgresSaver(pool)
        await saver.setup()
        graph = StateGraph(State)
        for node in (ask, compute, answer):
            graph.add_node(node.__name__, node)
        for edge in ((START, "ask"), ("ask", "compute"), ("compute", "answer"), ("answer", END)):
            graph.add_edge(*edge)
        compiled = graph.compile(checkpointer=saver)

        async def turn() -> None:
            thread = {"configurable": {"thread_id": str(uuid.uuid4())}}
            ended = await compiled.ainvoke({"messages": ["compute"]}, thread, durability="sync")
            assert ended["messages"][-1] == "It is 42"

        await serve(turn)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
