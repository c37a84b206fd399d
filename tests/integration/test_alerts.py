"""Alerts, from what goes wrong to whom is told: on real servers, by real webhooks."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import sqlalchemy as sa

from api.app import create_app
from core.bootstrap import Platform, open_platform
from core.config import Settings
from core.config_alerts import RULES
from core.ids import new_id
from core.storage.alerts import Alert, AlertMessage, AlertStore
from core.storage.database import Database, open_database
from core.webhooks.signing import new_secret
from tests.doubles.web import Web, open_web
from tests.integration.conftest import Stage, Tenant, make_tenant
from tests.integration.test_postgres_goes_away import own_server

CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "the cat's secret name"}]}
SECRET = new_secret()
RULE = {"series": 'paddock_requests_total{status="404"}', "above": 2, "window_seconds": 2, "summary": "lost souls"}
OFF = dict.fromkeys(RULES)


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with open_web() as opened:
        yield opened


@pytest.fixture(autouse=True)
async def _no_alerts_of_others(database: Database) -> None:
    async with database.everyone() as connection:
        for table in ("metric_samples", "alerts"):
            await connection.execute(sa.text(f"DELETE FROM {table}"))


@asynccontextmanager
async def serving(
    stage: Stage, tenant: Tenant, url: str, rule: Mapping[str, Any] = RULE
) -> AsyncIterator[tuple[Platform, httpx.AsyncClient]]:
    alerts = {
        "every_seconds": 0.2,
        "rules": {**OFF, "lost": rule},
        "receivers": {"ops": {"url": url, "secret": SECRET}},
    }
    models = [{"name": "scripted", "backend": "scripted", "script": [{"reply": "Mog"}]}]
    made = Settings.model_validate(
        {"home": stage.home, "config": stage.home / "paddock.yaml", "models": models, "alerts": alerts}
    )
    headers = {"authorization": f"Bearer {tenant.secret}"}
    async with open_platform(made, stage.addresses) as platform:
        transport = httpx.ASGITransport(create_app(platform))
        async with httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=headers) as client:
            yield platform, client


async def ask_for_nothing(client: httpx.AsyncClient) -> None:
    for n in range(5):
        await client.get(f"/v1/responses/resp_{n}")


async def lose(client: httpx.AsyncClient, *, alerts: int = 1) -> None:
    """Until there are so many alerts in all: nobody sees what was lost a whole window before a keeper was elected."""
    async with asyncio.timeout(60):
        while len((await client.get("/admin/v1/alerts")).json()["data"]) < alerts:
            await ask_for_nothing(client)
            await asyncio.sleep(0.5)


async def heard(web: Web, count: int) -> list[tuple[dict[str, str], bytes]]:
    """Messages by id, as receivers know one that comes again because the keeper died over it."""
    async with asyncio.timeout(30):
        while len(told := _told(web)) < count:
            await asyncio.sleep(0.05)
    return list(told.values())


def _told(web: Web) -> dict[str, tuple[dict[str, str], bytes]]:
    told = {}
    for request in web.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        told[headers["webhook-id"]] = (headers, body)
    return told


async def one_alert(client: httpx.AsyncClient, done: str) -> dict[str, Any]:
    """The only one there is, when its only message so far says `done`."""
    async with asyncio.timeout(30):
        while True:
            listed = (await client.get("/admin/v1/alerts")).json()["data"]
            if listed:
                alert: dict[str, Any] = (await client.get(f"/admin/v1/alerts/{listed[0]['id']}")).json()
                if alert["messages"][0][done]:
                    return alert
            await asyncio.sleep(0.05)


async def test_what_goes_wrong_is_told_once_with_a_signature_and_told_again_when_it_is_over(
    stage: Stage, tenant: Tenant, web: Web
) -> None:
    web.says("/hook")
    async with serving(stage, tenant, f"{web.origin}/hook") as (_, client):
        await lose(client)
        [(headers, body)] = await heard(web, 1)
        openai.OpenAI(api_key="-").webhooks.verify_signature(body, headers, secret=SECRET)
        firing = json.loads(body)
        assert (firing["type"], firing["data"]["rule"], firing["data"]["status"]) == ("alert.firing", "lost", "firing")
        assert firing["data"]["value"] >= 3
        assert firing["data"]["summary"] == "lost souls"
        _, (_, second) = await heard(web, 2)
        over = json.loads(second)
        assert (over["type"], over["data"]["id"]) == ("alert.resolved", firing["data"]["id"])
        await asyncio.sleep(1.5)
        assert len(web.requests) == 2
        listed = (await client.get("/admin/v1/alerts", params={"status": "resolved"})).json()["data"]
        assert [alert["id"] for alert in listed] == [firing["data"]["id"]]
        assert (await client.get("/admin/v1/alerts", params={"status": "firing"})).json()["data"] == []


async def test_what_two_servers_see_together_is_told_once_though_the_keeper_dies(
    stage: Stage, tenant: Tenant, web: Web
) -> None:
    web.says("/hook")
    rule = {**RULE, "above": 7, "window_seconds": 4}
    async with AsyncExitStack() as outlives:
        async with serving(stage, tenant, f"{web.origin}/hook", rule) as (_, first):
            _, second = await outlives.enter_async_context(serving(stage, tenant, f"{web.origin}/hook", rule))
            await ask_for_nothing(first)
            await asyncio.sleep(0.5)
            assert web.requests == [], "five are not enough"
            await ask_for_nothing(second)
            await heard(web, 1)
        (_, firing), (_, over) = await heard(web, 2)
        await asyncio.sleep(1)
    assert len(_told(web)) == 2
    assert [json.loads(body)["type"] for body in (firing, over)] == ["alert.firing", "alert.resolved"]
    assert json.loads(firing)["data"]["id"] == json.loads(over)["data"]["id"]


async def test_a_receiver_that_is_down_is_asked_again_later_and_an_operator_sees_why(
    stage: Stage, tenant: Tenant, web: Web
) -> None:
    web.says("/hook", status="500 Down")
    async with serving(stage, tenant, f"{web.origin}/hook") as (_, client):
        await lose(client)
        alert = await one_alert(client, "error")
    message = alert["messages"][0]
    assert (message["receiver"], message["attempts"], message["given_up_at"]) == ("ops", 1, None)
    assert message["error"] == "127.0.0.1: answered 500"
    assert message["next_attempt_at"] >= alert["created_at"]


async def test_a_receiver_at_an_address_that_is_nobodys_is_given_up_at_once(stage: Stage, tenant: Tenant) -> None:
    async with serving(stage, tenant, "http://169.254.169.254/latest") as (_, client):
        await lose(client)
        alert = await one_alert(client, "given_up_at")
    assert "never spoken to" in alert["messages"][0]["error"]


async def test_a_receiver_that_hangs_keeps_no_other_work_from_the_keeper(stage: Stage, tenant: Tenant, web: Web) -> None:
    async def hang(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    web.answers["/hook"] = hang
    async with serving(stage, tenant, f"{web.origin}/hook") as (_, client):
        await lose(client)
        await heard(web, 1)
        async with asyncio.timeout(15):
            while not (await client.get("/admin/v1/alerts", params={"status": "resolved"})).json()["data"]:
                await asyncio.sleep(0.05)


async def test_an_alert_whose_rule_is_gone_is_over(stage: Stage, tenant: Tenant, web: Web, database: Database) -> None:
    web.says("/hook")
    store = AlertStore(database)
    async with database.everyone() as connection:
        now = (await connection.execute(sa.select(sa.func.now()))).scalar_one()
    old = Alert(id="alert_old", rule="forgotten", severity="info", summary="x", value=1, created_at=now)
    assert await store.fire(old, [AlertMessage(id="msg_0", alert_id=old.id, receiver="gone", body="{}")])
    assert not await store.fire(old, [])
    async with serving(stage, tenant, f"{web.origin}/hook") as (_, client):
        [(_, body)] = await heard(web, 1)
        alert = await one_alert(client, "given_up_at")
    assert json.loads(body)["type"] == "alert.resolved"
    assert (alert["status"], alert["messages"][0]["error"]) == ("resolved", "the configuration has no such receiver any more")


async def test_a_later_message_waits_for_the_earlier_one_about_the_same_alert(database: Database) -> None:
    store = AlertStore(database)
    async with database.everyone() as connection:
        now = (await connection.execute(sa.select(sa.func.now()))).scalar_one()
    alert = Alert(id="alert_1", rule="r", severity="info", summary="x", value=1, created_at=now)
    messages = [
        AlertMessage(id=f"msg_{n}", alert_id=alert.id, receiver=receiver, body="{}")
        for n, receiver in enumerate(["a", "a", "b"])
    ]
    await store.fire(alert, messages)
    assert [message.id for message in await store.due(10)] == ["msg_0", "msg_2"]
    await store.failed("msg_0", "down", again_seconds=100)
    assert [message.id for message in await store.due(10)] == ["msg_2"]
    await store.failed("msg_0", "down", again_seconds=None)
    assert [message.id for message in await store.due(10)] == ["msg_1", "msg_2"]
    await store.delivered("msg_1")
    assert [message.id for message in await store.due(10)] == ["msg_2"]


async def test_the_end_is_told_after_the_beginning_though_the_clock_of_who_tells_it_is_behind(database: Database) -> None:
    store = AlertStore(database)
    async with database.everyone() as connection:
        now = (await connection.execute(sa.select(sa.func.now()))).scalar_one()
    alert = Alert(id="alert_1", rule="r", severity="info", summary="x", value=1, created_at=now)
    await store.fire(alert, [AlertMessage(id="msg_2", alert_id=alert.id, receiver="a", body="{}")])
    await store.resolve(replace(alert, resolved_at=now), [AlertMessage(id="msg_1", alert_id=alert.id, receiver="a", body="{}")])
    assert [message.id for message in await store.due(10)] == ["msg_2"]
    assert [message.id for message in (await store.get(alert.id))[1]] == ["msg_2", "msg_1"]


async def test_a_gauge_that_is_wrong_on_this_server_is_told_too(stage: Stage, tenant: Tenant, web: Web) -> None:
    web.says("/hook")
    rule = {"series": "paddock_limiter_redis_up", "above": 0, "window_seconds": 1, "summary": "it is there"}
    async with serving(stage, tenant, f"{web.origin}/hook", rule):
        [(_, body)] = await heard(web, 1)
    assert json.loads(body)["data"]["value"] == 1


async def test_alerts_go_on_when_postgresql_is_back(stage: Stage, web: Web) -> None:
    web.says("/hook")
    with tempfile.TemporaryDirectory(prefix="paddock-own-") as home:
        async with own_server(Path(home), durable=False) as server:
            own = replace(stage, addresses=replace(stage.addresses, database=server.server.server_url))
            async with open_database(own.addresses.database) as database:
                tenant = await make_tenant(database, "one")
            async with serving(own, tenant, f"{web.origin}/hook") as (_, client):
                await lose(client)
                await heard(web, 1)
                await server.stop()
                await asyncio.sleep(2)
                await server.start()
                await heard(web, 2)
                await lose(client, alerts=2)
                told = await heard(web, 3)
    assert [json.loads(body)["type"] for _, body in told] == ["alert.firing", "alert.resolved", "alert.firing"]


@pytest.mark.parametrize("path", ["/admin/v1/alerts", "/admin/v1/alerts/alert_unknown"])
async def test_alerts_are_for_operators(stage: Stage, tenant: Tenant, path: str) -> None:
    async with serving(stage, tenant, "https://example.com") as (_, client):
        made = await client.post("/admin/v1/keys", json={"name": "admin", "scopes": ["admin", "audit"]})
        admin = {"authorization": f"Bearer {made.json()['secret']}"}
        assert (await client.get(path, headers=admin)).status_code == 403
        assert (await client.get(path)).status_code == (404 if "unknown" in path else 200)


async def test_firing_alerts_are_read_page_by_page_while_they_are_resolved(database: Database) -> None:
    store = AlertStore(database)
    for rule in ("one", "two"):
        alert = Alert(id=new_id("alert"), rule=rule, severity="info", summary="x", value=1, created_at=datetime.now(UTC))
        assert await store.fire(alert, [])
    first = await store.page(firing=True, after=None, limit=1, descending=False)
    await store.resolve(replace(first.rows[0], resolved_at=datetime.now(UTC)), [])
    rest = await store.page(firing=True, after=first.rows[0].id, limit=1, descending=False)
    assert {alert.rule for alert in (*first.rows, *rest.rows)} == {"one", "two"}


@pytest.mark.parametrize("query", ["status=sad", "after=alert_none", "limit=0", "limit=101", "order=up", "x=1"])
async def test_a_list_that_cannot_be_is_refused(stage: Stage, tenant: Tenant, query: str) -> None:
    async with serving(stage, tenant, "https://example.com") as (_, client):
        answer = await client.get(f"/admin/v1/alerts?{query}")
    assert answer.status_code == 400
