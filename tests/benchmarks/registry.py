"""What a registry of a thousand tools costs a turn that offers one of them, against a registry that has only that one."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

import httpx

from tests.benchmarks.client import Answer, Request, one_after_another
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.stand import REPLY, Served, Stand

TOOLS = 1_000
BATCHES, TURNS = 10, 10  # a round


async def measure(stand: Stand, *, rounds: int, seconds: float) -> Sequence[Figure]:
    async with AsyncExitStack() as stack:
        paddock = await stack.enter_async_context(stand.paddock())
        requests = {size: _turn(await _organization_with(paddock, size)) for size in (1, TOOLS)}
        times: dict[int, list[float]] = {size: [] for size in requests}
        for batch in range(1 + rounds * BATCHES):
            for size, request in requests.items():
                answers = await one_after_another(paddock.address, request, _is_answer, TURNS)
                if batch:  # the first warms
                    times[size] += [answer.seconds * 1000 for answer in answers]
    medians = {size: percentile(values, 50) for size, values in times.items()}
    return [
        Figure(what=f"stored turn that offers one of {size:,} tools: p50", unit="ms", ours=median)
        for size, median in medians.items()
    ]


async def _organization_with(paddock: Served, size: int) -> str:
    """The key of one whose registry has so many tools."""
    headers = {"authorization": f"Bearer {paddock.key}"}
    async with httpx.AsyncClient(base_url=f"{paddock.address}/admin/v1", headers=headers, timeout=60) as admin:
        organization = (await admin.post("/organizations", json={"name": f"{size} tools"})).raise_for_status().json()
        asked = {"name": "bench", "scopes": ["chat", "admin"], "organization_id": organization["id"]}
        key: str = (await admin.post("/keys", json=asked)).raise_for_status().json()["secret"]
        own = {"authorization": f"Bearer {key}"}
        for number in range(size):
            (await admin.post("/tools", json=_tool(number), headers=own)).raise_for_status()
    return key


def _tool(number: int) -> dict[str, object]:
    text = {"type": "string"}
    return {
        "name": f"tool_{number}",
        "description": "Looks something up",
        "parameters": {"type": "object", "properties": {"key": text}, "required": ["key"], "additionalProperties": False},
        "runtime": {"kind": "http", "method": "GET", "url": "https://example.com/{key}"},
        "capabilities": {"network": [{"host": "example.com"}]},
        "permissions": {"organization": True},
    }


def _turn(key: str) -> Request:
    tool = {"type": "mcp", "server_label": "registry", "allowed_tools": ["tool_0"]}
    return Request.json("/v1/responses", {"model": "scripted", "input": "Hello", "tools": [tool]}, key=key)


def _is_answer(answer: Answer) -> bool:
    return REPLY.encode() in answer.body
