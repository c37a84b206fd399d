"""Who had what was said removed is in the audit log, once, in the transaction that removes it."""

import asyncio
from typing import Any

import httpx
import pytest

from api.app import create_app
from core.bootstrap import Platform
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_tool_registry import audited
from tests.integration.test_turns import HELLO

REMOVED = ("turn.deleted", "conversation.deleted", "item.deleted")


def client_of(platform: Platform, tenant: Tenant) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {tenant.secret}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(platform)), base_url="http://paddock", headers=headers)


async def removals(platform: Platform, tenant: Tenant) -> list[dict[str, Any]]:
    return [record for record in await audited(platform, tenant) if record["kind"] in REMOVED]


async def test_each_removal_is_told_with_who_asked_for_it_and_in_which_request(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        conversation = (await client.post("/v1/conversations", json={})).json()["id"]
        body = {"model": "scripted", "input": "my name is Ada", "conversation": conversation}
        response = (await client.post("/v1/responses", json=body)).json()["id"]
        item = (await client.get(f"/v1/conversations/{conversation}/items")).json()["data"][0]["id"]
        paths = [
            f"/v1/responses/{response}",
            f"/v1/conversations/{conversation}/items/{item}",
            f"/v1/conversations/{conversation}",
        ]
        answers = [await client.delete(path) for path in paths]
        again = [await client.delete(path) for path in paths]
        assert [answer.status_code for answer in (*answers, *again)] == [200, 200, 200, 404, 404, 404]
        told = await removals(platform, tenant)
        assert [(one["kind"], one["object"]) for one in told] == [
            ("turn.deleted", response),
            ("item.deleted", item),
            ("conversation.deleted", conversation),
        ]
        assert [one["request"] for one in told] == [answer.headers["x-request-id"] for answer in answers]
        assert {(one["actor"], one["key"]) for one in told} == {(tenant.principal.user_id, tenant.principal.key_id)}
        assert "Ada" not in str(told)


@pytest.mark.parametrize("of", ["response", "item", "conversation"])
async def test_what_two_remove_at_once_one_has_removed(stage: Stage, tenant: Tenant, of: str) -> None:
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        conversation = (await client.post("/v1/conversations", json={})).json()["id"]
        body = {"model": "scripted", "input": "hello", "conversation": conversation}
        response = (await client.post("/v1/responses", json=body)).json()["id"]
        item = (await client.get(f"/v1/conversations/{conversation}/items")).json()["data"][0]["id"]
        path = {
            "response": f"/v1/responses/{response}",
            "item": f"/v1/conversations/{conversation}/items/{item}",
            "conversation": f"/v1/conversations/{conversation}",
        }[of]
        answers = await asyncio.gather(*(client.delete(path) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404, 404]
        assert len(await removals(platform, tenant)) == 1
