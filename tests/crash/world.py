"""The world outside: a scripted model over HTTP, and a shop whose every request is counted. And the tools that lead to it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter

from core.llm.script import Rule
from core.llm.scripted_server import open_server

SHOP_SECONDS = 0.03
SHIP = """
from paddock import call

def main(order):
    call("pay", order=order + " ship")
    return {"shipped": call("stamp", order=order + " ship")["stamped"]}
"""
ORDER = {"order": "{last_user_text}"}
SLOWLY = {"piece_characters": 4, "pace_seconds": 0.004}
SCRIPT: list[dict[str, Any]] = [
    {
        **SLOWLY,
        "when": {"contains": "order", "tool_results": 0},
        "reply": [
            {"text": "I pay and stamp it."},
            {"tool_calls": [{"name": "pay", "arguments": ORDER}, {"name": "stamp", "arguments": ORDER}]},
        ],
    },
    {
        **SLOWLY,
        "when": {"contains": "order", "tool_results": 2},
        "reply": [
            {"reasoning": "What is it?"},
            {"text": "I ship and look."},
            {"tool_calls": [{"name": "ship", "arguments": ORDER}, {"name": "look", "arguments": ORDER}]},
        ],
    },
    {**SLOWLY, "when": {"contains": "order", "tool_results": 4}, "reply": {"text": "All is done: {last_tool_result}."}},
    {**SLOWLY, "reply": {"text": "You said: {last_user_text}"}},
]


class Shop:
    """payments: by order. stamps: by order, the keys that came with each. Who asks twice pays twice."""

    def __init__(self) -> None:
        self.payments: Counter[str] = Counter()
        self.stamps: defaultdict[str, list[str]] = defaultdict(list)

    async def pay(self, request: web.Request) -> web.Response:
        order = (await request.json())["order"]
        self.payments[order] += 1
        await asyncio.sleep(SHOP_SECONDS)
        return web.json_response({"paid": order})

    async def stamp(self, request: web.Request) -> web.Response:
        order = (await request.json())["order"]
        self.stamps[order].append(request.headers["Idempotency-Key"])
        await asyncio.sleep(SHOP_SECONDS)
        return web.json_response({"stamped": order})


@asynccontextmanager
async def open_shop() -> AsyncIterator[tuple[Shop, int]]:
    """And its port."""
    shop, application = Shop(), web.Application()
    application.add_routes([web.post("/pay", shop.pay), web.post("/stamp", shop.stamp)])
    runner = web.AppRunner(application, access_log=None, handler_cancellation=False)  # who has paid and dies has paid
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield shop, runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def open_model() -> AsyncIterator[str]:
    async with open_server(TypeAdapter(list[Rule]).validate_python(SCRIPT)) as address:
        yield address


def tools(shop_port: int) -> list[dict[str, Any]]:
    """One of each effect, and one whose code calls others."""
    parameters = {
        "type": "object",
        "properties": {"order": {"type": "string"}},
        "required": ["order"],
        "additionalProperties": False,
    }
    common = {"description": "Does it", "parameters": parameters, "permissions": {"organization": True}}
    network = [{"host": "127.0.0.1", "ports": [shop_port], "methods": ["POST"]}]

    def asking(path: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{shop_port}/{path}"
        return {
            "runtime": {"kind": "http", "method": "POST", "url": url, "body": {"order": "{order}"}},
            "capabilities": {"network": network},
        }

    code = "import time\n\ndef main(order):\n    time.sleep(0.02)\n    return {'seen': order}\n"
    return [
        {**common, **asking("pay"), "name": "pay", "effect": "effectful"},
        {**common, **asking("stamp"), "name": "stamp", "effect": "idempotent"},
        {**common, "runtime": {"kind": "python", "code": code}, "name": "look", "effect": "pure"},
        {
            **common,
            "runtime": {"kind": "python", "code": SHIP},
            "name": "ship",
            "effect": "effectful",
            "capabilities": {"tools": ["pay", "stamp"]},
        },
    ]
