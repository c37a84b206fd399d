"""Conversations that begin with a part of others: what is shared is read by both, and what follows is each one's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from core.storage.database import Database
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_tool_registry import Client, client_of

CONVERSATIONS = "/v1/conversations"
ECHO = {"reply": "heard {last_user_text}"}


@asynccontextmanager
async def opened(stage: Stage, tenant: Tenant) -> AsyncIterator[Client]:
    async with stage.open_with(ECHO) as platform, client_of(platform, tenant) as client:
        yield client


async def conversation(client: Client, *texts: str) -> str:
    made: str = (await client.post(CONVERSATIONS))["id"]
    for text in texts:
        await say(client, made, text)
    return made


async def say(client: Client, where: str, text: str) -> None:
    await client.respond(input=text, conversation=where, tools=[])


async def fork(client: Client, where: str, **body: Any) -> str:
    made: str = (await client.post(f"{CONVERSATIONS}/{where}/fork", body))["id"]
    return made


async def items(client: Client, where: str, *, order: str = "asc", after: str = "", limit: int = 100) -> list[Any]:
    cursor = f"&after={after}" if after else ""
    found = await client.get(f"{CONVERSATIONS}/{where}/items?order={order}&limit={limit}{cursor}")
    data: list[Any] = found["data"]
    return data


async def texts(client: Client, where: str) -> list[str]:
    return [item["content"][0]["text"] for item in await items(client, where) if item["role"] == "user"]


async def test_both_sides_of_a_fork_go_on_by_themselves(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with opened(stage, tenant) as client:
        parent = await conversation(client, "one", "two")
        async with database.tenant(tenant.principal.organization_id) as connection:
            before = await connection.scalar(sa.text("SELECT count(*) FROM items"))
        child = await fork(client, parent)
        async with database.tenant(tenant.principal.organization_id) as connection:
            assert await connection.scalar(sa.text("SELECT count(*) FROM items")) == before, "nothing is copied"
        assert await items(client, child) == await items(client, parent)
        await say(client, parent, "of the parent")
        await say(client, child, "of the child")
        assert await texts(client, parent) == ["one", "two", "of the parent"]
        assert await texts(client, child) == ["one", "two", "of the child"]


async def test_the_model_reads_what_is_shared(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(ECHO) as platform, client_of(platform, tenant) as client:
        child = await fork(client, await fork(client, await conversation(client, "one", "two")))
        await say(client, child, "three")
        whole = [item["id"] for item in await items(client, child)]
        for page in (1, 4, 1000):
            read = await platform.conversations.last_items(
                tenant.principal.organization_id, child, page=page, enough=lambda _: False
            )
            assert [item.id for item in read] == whole


async def test_a_fork_begins_at_any_item_of_a_fork_too(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as client:
        parent = await conversation(client, "one", "two")
        child = await fork(client, parent)
        await say(client, child, "three")
        whole = await items(client, child)
        for place, item in enumerate(whole):
            grandchild = await fork(client, child, item_id=item["id"])
            assert await items(client, grandchild) == whole[: place + 1]
            await say(client, grandchild, "mine")
            assert (await items(client, grandchild))[: place + 1] == whole[: place + 1]
        assert await items(client, child) == whole
        assert len(await items(client, parent)) == 4


async def test_a_fork_is_listed_page_by_page_in_both_orders(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as client:
        child = await fork(client, await conversation(client, "one", "two"))
        await say(client, child, "three")
        whole = await items(client, child)
        for order, wanted in (("asc", whole), ("desc", whole[::-1])):
            found: list[Any] = []
            while page := await items(client, child, order=order, after=found[-1]["id"] if found else "", limit=2):
                found += page
            assert found == wanted


async def test_a_fork_outlives_what_it_came_from_and_nothing_outlives_both(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with opened(stage, tenant) as client:
        parent = await conversation(client, "one", "two")
        whole = await items(client, parent)
        child = await fork(client, parent, item_id=whole[1]["id"])
        grandchild = await fork(client, child)
        await client.ask("DELETE", f"{CONVERSATIONS}/{parent}")
        assert await items(client, child) == whole[:2]
        assert await left(database, parent) == 2, "what nobody shares is gone at once"
        await client.ask("DELETE", f"{CONVERSATIONS}/{child}")
        assert await items(client, grandchild) == whole[:2]
        await say(client, grandchild, "still here")
        assert await texts(client, grandchild) == ["one", "still here"]
        await client.ask("DELETE", f"{CONVERSATIONS}/{grandchild}")
        assert [await left(database, gone) for gone in (parent, child, grandchild)] == [0, 0, 0]


async def test_of_a_conversation_and_its_forks_that_are_deleted_at_once_nothing_is_left(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with opened(stage, tenant) as client:
        for _ in range(5):
            parent = await conversation(client, "one")
            forks = [await fork(client, parent) for _ in range(3)]
            answers = await asyncio.gather(
                *(client.raw("DELETE", f"{CONVERSATIONS}/{one}") for one in (parent, *forks)),
                client.raw("POST", f"{CONVERSATIONS}/{parent}/fork", {}),
            )
            last = answers[-1]
            assert last.status_code in (200, 404)
            if last.status_code == 200:
                assert len(await items(client, last.json()["id"])) == 2
                await client.ask("DELETE", f"{CONVERSATIONS}/{last.json()['id']}")
            assert await left(database, parent) == 0


async def left(database: Database, where: str) -> int:
    async with database.everyone() as connection:
        found = await connection.scalar(sa.text("SELECT count(*) FROM items WHERE conversation_id = :id"), {"id": where})
    assert isinstance(found, int)
    return found


async def test_a_response_that_is_deleted_stays_in_the_forks_that_share_it(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as client:
        parent = (await client.post(CONVERSATIONS))["id"]
        response = await client.respond(input="one", conversation=parent, tools=[])
        child = await fork(client, parent)
        await client.ask("DELETE", f"{CONVERSATIONS}/{parent}")
        await client.ask("DELETE", f"/v1/responses/{response['id']}")
        assert await texts(client, child) == ["one"]


async def test_a_shared_item_is_deleted_where_it_was_said_and_nowhere_else(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as client:
        parent = await conversation(client, "one")
        child = await fork(client, parent)
        [first, *_] = await items(client, parent)
        path = f"items/{first['id']}"
        assert await client.get(f"{CONVERSATIONS}/{child}/{path}") == first
        code, _, message = await client.refused(f"{CONVERSATIONS}/{child}/{path}", None, method="DELETE", status=409)
        assert (code, parent in message) == ("item_shared", True)
        await client.ask("DELETE", f"{CONVERSATIONS}/{parent}/{path}")
        assert first not in await items(client, child)


async def test_what_is_shared_from_a_conversation_that_is_gone_can_be_deleted_still(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as client:
        parent = await conversation(client, "one")
        child = await fork(client, parent)
        first, second = await items(client, parent)
        await client.ask("DELETE", f"{CONVERSATIONS}/{parent}")
        await client.ask("DELETE", f"{CONVERSATIONS}/{child}/items/{first['id']}")
        assert await items(client, child) == [second]


async def test_what_is_no_item_of_a_conversation_of_the_organisation_begins_no_fork(
    stage: Stage, tenant: Tenant, other_tenant: Tenant
) -> None:
    async with stage.open_with(ECHO) as platform, client_of(platform, tenant) as client:
        parent, other = await conversation(client, "one", "two"), await conversation(client, "elsewhere")
        first, _, third, _ = await items(client, parent)
        child = await fork(client, parent, item_id=first["id"], metadata={"side": "left"})
        assert (await client.get(f"{CONVERSATIONS}/{child}"))["metadata"] == {"side": "left"}
        [foreign, *_] = await items(client, other)
        for where, item in ((parent, foreign["id"]), (child, third["id"]), (parent, "msg_unknown")):
            body = {"item_id": item}
            assert (await client.refused(f"{CONVERSATIONS}/{where}/fork", body, status=404))[0] == "item_not_found"
            await client.get(f"{CONVERSATIONS}/{child}/items/{third['id']}", status=404)
        for body, param in (({"item": "x"}, "item"), ({"item_id": 4}, "item_id"), ({"metadata": []}, "metadata")):
            assert (await client.refused(f"{CONVERSATIONS}/{parent}/fork", body))[1] == param
        await client.ask("DELETE", f"{CONVERSATIONS}/{other}")
        assert (await client.refused(f"{CONVERSATIONS}/{other}/fork", {}, status=404))[0] == "conversation_not_found"
        async with client_of(platform, other_tenant) as stranger:
            code, _, _ = await stranger.refused(f"{CONVERSATIONS}/{parent}/fork", {}, status=404)
            assert code == "conversation_not_found"
        empty = await fork(client, (await client.post(CONVERSATIONS))["id"])
        assert await items(client, empty) == []
