"""Whether everything is as if nothing had happened, seen from the outside."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg
import httpx

from tests.crash.customer import Answer, Customer, Frame, frames
from tests.crash.replicas import Replica
from tests.crash.stand import Stand

SETTLED_SECONDS = 60.0
DONE = 'I pay and stamp it.I ship and look.All is done: {{"seen": "{order}"}}.'
OPEN = (
    "SELECT (SELECT count(*) FROM paddock.turns WHERE ended_at IS NULL)"
    " + (SELECT count(*) FROM paddock.tool_ledger WHERE state = 'dispatched')"
)


async def settled(stand: Stand) -> None:
    """No turn is stuck, and no call is open."""
    async with asyncio.timeout(SETTLED_SECONDS):
        connection = await asyncpg.connect(stand.owner_url)
        try:
            while await connection.fetchval(OPEN):
                await asyncio.sleep(0.05)
        finally:
            await connection.close()


async def judge(stand: Stand, customer: Customer) -> None:
    """Raises AssertionError."""
    order, thanks = customer.answers
    for answer in customer.answers:
        await asyncio.gather(*(_same_everywhere(stand, answer, replica) for replica in stand.replicas))
    bought = await _response(stand, order)
    unknown = await _audit_is_complete(stand, order, bought)
    await _audit_is_complete(stand, thanks, await _response(stand, thanks))
    _is_done(bought, order.text, unknown)
    _paid_once(stand, customer, order.text, unknown)
    await _nothing_is_lost(stand, customer)


async def _same_everywhere(stand: Stand, answer: Answer, replica: Replica) -> None:
    """What came in parts is what anybody reads from the beginning."""
    whole: list[Frame] = []
    while not whole:
        async with stand.client.stream("GET", f"{replica.url}/v1/responses/{answer.response_id}?stream=true") as response:
            if await _is_there(response):
                whole = [frame async for frame in frames(response)]
    for got, read in zip(answer.frames, whole, strict=False):
        assert got == read, f"a client was told {got}, and {replica.name} says {read}"
    assert len(answer.frames) == len(whole), f"{len(answer.frames)} events were told, and {replica.name} tells {len(whole)}"


async def _got(stand: Stand, path: str, **params: str | int) -> Any:
    while True:
        response = await stand.client.get(f"{stand.replicas[0].url}{path}", params=params)
        if await _is_there(response):
            return response.json()


async def _is_there(response: httpx.Response) -> bool:
    """False where it is to be asked again: PostgreSQL may be on its way back."""
    if response.status_code == 503:
        await asyncio.sleep(0.1)
        return False
    assert response.status_code == 200, (await response.aread()).decode()
    return True


async def _response(stand: Stand, answer: Answer) -> Any:
    read = await _got(stand, f"/v1/responses/{answer.response_id}")
    told = json.loads(answer.frames[-1].data.partition(b"\ndata: ")[2])["response"]
    assert told == read, f"the last event says {told}, the response {read}"
    assert read["status"] == "completed", read
    assert read["completed_at"] >= read["created_at"], "whatever the clock of who ended it says"
    return read


async def _audit_is_complete(stand: Stand, answer: Answer, response: Any) -> set[str]:
    """Every call was recorded before it ran, and how it ended. Gives the tools of which nobody knows how."""
    listed = await _got(stand, "/admin/v1/audit/events", object=answer.response_id, limit=100)
    everything = [event["record"] for event in reversed(listed["data"])]  # from the newest on it is whole, whoever still writes
    records = [record for record in everything if "nested" not in record["details"]]
    _calls_of_code_are_told([record for record in everything if "nested" in record["details"]])
    kinds = Counter(record["kind"] for record in records)
    assert kinds["turn.started"] == kinds["turn.ended"] == 1, kinds
    calls = [n for n, item in enumerate(response["output"]) if item["type"] == "mcp_call" and item["status"] != "incomplete"]
    for kind in ("tool.dispatched", "tool.returned"):
        items = {record["details"]["item"] for record in records if record["kind"] == kind}
        assert items == set(calls), f"{kind} is recorded for {items}, and there were {calls}"
    returned = [record for record in records if record["kind"] == "tool.returned"]
    assert len(returned) == len(calls), "a call returned twice"
    unknown = {record["details"]["tool"] for record in returned if record["outcome"] == "unknown"}
    assert unknown <= {"pay", "ship"}, "only what has an effect may be unknown"
    stopped = {record["details"]["tool"] for record in returned if record["outcome"] == "failure"}
    assert stopped <= {"ship"}, "code whose calls have an effect does not run again when its sandbox dies"
    return unknown | stopped


def _calls_of_code_are_told(records: Sequence[Any]) -> None:
    """The code that makes them has an effect: it runs once, and so do they."""
    told = {
        kind: Counter(record["details"]["nested"] for record in records if record["kind"] == kind)
        for kind in ("tool.dispatched", "tool.returned")
    }
    assert told["tool.dispatched"] == told["tool.returned"], told
    assert set(told["tool.dispatched"].values()) <= {1}, told


def _is_done(response: Any, order: str, unknown: set[str]) -> None:
    """As the model's script and the tools say, but for what nobody knows."""
    items = _of_whole_replies(response["output"])
    text = "".join(part["text"] for item in items if item["type"] == "message" for part in item["content"])
    assert text == DONE.format(order=order), text
    calls = [(item["name"], item["arguments"], item["output"]) for item in items if item["type"] == "mcp_call"]
    arguments = json.dumps({"order": order})
    told = {"pay": {"paid": order}, "stamp": {"stamped": order}, "ship": {"shipped": f"{order} ship"}, "look": {"seen": order}}
    results = {name: None if name in unknown else json.dumps(result) for name, result in told.items()}
    assert calls == [(name, arguments, result) for name, result in results.items()], calls


def _of_whole_replies(output: Sequence[Any]) -> list[Any]:
    """A reply that was cut off ends with an incomplete item; what it had said before that was said again. One that asks for
    tools ends with them.
    """
    whole: list[Any] = []
    reply: list[Any] = []
    for item in output:
        reply = [] if item.get("status") == "incomplete" else [*reply, item]
        if item["type"] == "mcp_call":
            whole, reply = [*whole, *reply], []
    return [*whole, *reply]


def _paid_once(stand: Stand, customer: Customer, order: str, unknown: set[str]) -> None:
    for paid, tool in ((order, "pay"), (f"{order} ship", "ship")):
        times = stand.shop.payments[paid]
        assert times in ((0, 1) if tool in unknown else (1,)), f"paid {times} times"
    assert len(set(stand.shop.stamps[order])) == 1, "one call has one key"
    assert len(stand.shop.stamps[f"{order} ship"]) in ((0, 1) if "ship" in unknown else (1,)), "stamped by code that ran once"
    for text in (*customer.doubtful, *(f"{text} ship" for text in customer.doubtful)):
        assert stand.shop.payments[text] <= 1, f"paid {stand.shop.payments[text]} times for what was not acknowledged"
        assert len(set(stand.shop.stamps[text])) <= 1


async def _nothing_is_lost(stand: Stand, customer: Customer) -> None:
    """Each acknowledged message is in the conversation, and what was answered."""
    listed = await _got(stand, f"/v1/conversations/{customer.conversation_id}/items", limit=100, order="asc")
    said = [_texts(item) for item in listed["data"] if item["type"] == "message" and item["role"] == "user"]
    acknowledged = [answer.text for answer in customer.answers]
    assert [text for text in said if text in acknowledged] == acknowledged, said
    assert set(said) <= {*acknowledged, *customer.doubtful}, said


def _texts(item: Any) -> str:
    return "".join(part["text"] for part in item["content"])


async def all_are_well(stand: Stand, customers: Sequence[Customer]) -> None:
    await settled(stand)
    for customer in customers:
        await judge(stand, customer)
