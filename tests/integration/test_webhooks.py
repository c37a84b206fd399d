"""The end of a turn in the background is told by webhook: signed, again and again, and never into the house."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from api.app import create_app
from core.bootstrap import Platform, open_platform
from core.config import Settings
from core.errors import ConfigurationError, Unavailable
from core.keyring import open_keyring
from core.storage.database import Database
from core.storage.tables import audit_records, webhook_deliveries, webhook_endpoints
from core.storage.webhooks import WebhookStore
from core.subscriptions.deliveries import AT_ONCE, LOOK_SECONDS, SHARE_OF_ORGANIZATION
from core.webhooks.sending import ANSWER_SECONDS
from tests.doubles.web import Web, open_web
from tests.integration.conftest import Stage, Tenant

PATIENCE_SECONDS = 60
SCRIPT = [
    {"when": {"contains": "breaks"}, "reply": {"error": {"status": 400, "message": "no"}}},
    {"when": {"contains": "slow"}, "pace_seconds": 0.05, "piece_characters": 1, "reply": {"text": "slow " * 200}},
    {"reply": {"text": "You said: {last_user_text}"}},
]
ALL = ["response.completed", "response.failed", "response.cancelled", "response.incomplete"]


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with open_web() as opened:
        opened.says("/hook")
        yield opened


@asynccontextmanager
async def serving(stage: Stage, tenant: Tenant, *, private: str | None = "127.0.0.0/8") -> AsyncIterator[httpx.AsyncClient]:
    made = Settings.model_validate(
        {
            "home": stage.home,
            "config": stage.home / "paddock.yaml",
            "models": [{"name": "scripted", "backend": "scripted", "script": SCRIPT, "retries": {"attempts": 1}}],
            "egress": {"allow_private": [private] if private else []},
        }
    )
    async with open_platform(made, stage.addresses) as platform, client(platform, tenant) as http:
        yield http


@asynccontextmanager
async def client(platform: Platform, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {tenant.secret}"}
    transport = httpx.ASGITransport(create_app(platform), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=headers, timeout=60) as opened:
        yield opened


async def add(http: httpx.AsyncClient, url: str, events: list[str] = ALL) -> dict[str, Any]:
    made = await http.post("/admin/v1/webhooks", json={"url": url, "events": events})
    assert made.status_code == 200, made.text
    return dict(made.json())


async def begin(http: httpx.AsyncClient, text: str, *, background: bool = True) -> str:
    return str((await http.post("/v1/responses", json={"input": text, "background": background})).json()["id"])


async def deliveries(http: httpx.AsyncClient, state: str, count: int) -> list[dict[str, Any]]:
    """As soon as there are so many."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found: list[dict[str, Any]] = (await http.get("/admin/v1/webhook_deliveries", params={"state": state})).json()[
                "data"
            ]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.05)


def parts(raw: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}, body


async def test_each_end_is_told_once_signed_as_standard_webhooks_has_it(stage: Stage, tenant: Tenant, web: Web) -> None:
    async with serving(stage, tenant) as http:
        hook = await add(http, f"{web.origin}/hook")
        done, failed, slow = [await begin(http, text) for text in ("hi", "breaks", "slow")]
        await http.post(f"/v1/responses/{slow}/cancel")
        await begin(http, "this one is not in the background", background=False)
        await deliveries(http, "delivered", 3)
        told = {}
        for headers, body in map(parts, web.requests):
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            key = base64.b64decode(hook["secret"].removeprefix("whsec_"))
            expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            assert headers["webhook-signature"] == f"v1,{expected}"
            event = json.loads(body)
            assert (event["object"], event["id"]) == ("event", headers["webhook-id"])
            told[event["data"]["id"]] = event["type"]
        assert told == {done: "response.completed", failed: "response.failed", slow: "response.cancelled"}
        assert len(web.requests) == 3


async def test_an_endpoint_hears_what_it_asked_for_while_it_is_enabled(stage: Stage, tenant: Tenant, web: Web) -> None:
    async with serving(stage, tenant) as http:
        web.says("/other")
        one = await add(http, f"{web.origin}/hook", ["response.failed"])
        await add(http, f"{web.origin}/other", ["response.completed"])
        await begin(http, "hi")
        await deliveries(http, "delivered", 1)
        assert [raw.split(b" ")[1] for raw in web.requests] == [b"/other"]
        await http.post(f"/admin/v1/webhooks/{one['id']}", json={"enabled": False})
        await begin(http, "breaks")
        await begin(http, "hi")
        await deliveries(http, "delivered", 2)
        assert (await http.get("/admin/v1/webhook_deliveries", params={"state": "waiting"})).json()["data"] == []


async def wait(database: Database, hook: dict[str, Any], *, hours: float = 0) -> str:
    """A delivery to the endpoint that has waited so many hours. Returns its id."""
    delivery_id = f"evt_{uuid4().hex}"
    values = {
        "id": delivery_id,
        "organization_id": sa.select(webhook_endpoints.c.organization_id)
        .where(webhook_endpoints.c.id == hook["id"])
        .scalar_subquery(),
        "endpoint_id": hook["id"],
        "event": "response.completed",
        "object_id": "resp_1",
        "created_at": sa.func.now() - timedelta(hours=hours),
    }
    async with database.everyone() as connection:
        await connection.execute(sa.insert(webhook_deliveries).values(values))
    return delivery_id


async def test_what_waits_for_a_disabled_endpoint_goes_out_when_it_is_enabled_again(
    stage: Stage, tenant: Tenant, web: Web, database: Database
) -> None:
    web.says("/other")
    async with serving(stage, tenant) as http:
        hook, other = await add(http, f"{web.origin}/hook"), await add(http, f"{web.origin}/other")
        path = f"/admin/v1/webhooks/{hook['id']}"
        await http.post(path, json={"enabled": False})
        waiting = {await wait(database, hook, hours=1) for _ in range(2 * SHARE_OF_ORGANIZATION)}
        sent = await wait(database, other)  # they take none of its share
        assert [one["id"] for one in await deliveries(http, "delivered", 1)] == [sent]
        await asyncio.sleep(2 * LOOK_SECONDS)
        assert {one["id"] for one in await deliveries(http, "waiting", 1)} == waiting
        assert [raw.split(b" ")[1] for raw in web.requests] == [b"/other"]
        await http.post(path, json={"enabled": True})
        assert {one["id"] for one in await deliveries(http, "delivered", 1 + len(waiting))} == {*waiting, sent}


async def test_what_waits_a_day_for_a_disabled_endpoint_is_a_dead_letter_and_is_sent_again_once_it_is_enabled(
    stage: Stage, tenant: Tenant, web: Web, database: Database
) -> None:
    async with serving(stage, tenant) as http:
        hook, other = [await add(http, f"{web.origin}/hook") for _ in range(2)]
        path = f"/admin/v1/webhooks/{hook['id']}"
        await http.post(path, json={"enabled": False})
    old, new, elsewhere = [await wait(database, to, hours=hours) for to, hours in ((hook, 25), (hook, 23), (other, 25))]
    await WebhookStore(database).sweep()
    async with serving(stage, tenant) as http:
        await deliveries(http, "delivered", 1)
        states = {one["id"]: one["state"] for one in (await http.get("/admin/v1/webhook_deliveries")).json()["data"]}
        assert states == {old: "dead", new: "waiting", elsewhere: "delivered"}
        assert (await deliveries(http, "dead", 1))[0]["error"] == "the webhook was disabled"
        again = f"/admin/v1/webhook_deliveries/{old}/send_again"
        refused = await http.post(again)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "webhook_disabled")
        await http.post(path, json={"enabled": True})
        assert (await http.post(again)).json()["state"] == "waiting"
        assert {one["id"] for one in await deliveries(http, "delivered", 3)} == {old, new, elsewhere}


async def test_deliveries_and_webhooks_are_read_page_by_page_while_they_go(
    stage: Stage, tenant: Tenant, web: Web, database: Database
) -> None:
    async with serving(stage, tenant) as http:
        hooks = [await add(http, f"{web.origin}/hook") for _ in range(3)]
        for hook in hooks:
            await http.post(f"/admin/v1/webhooks/{hook['id']}", json={"enabled": False})
        made = [await wait(database, hook) for hook in hooks]
        paths = {"/admin/v1/webhook_deliveries": {"state": "waiting"}, "/admin/v1/webhooks": {}}
        for path, state in paths.items():
            seen: list[str] = []
            query = {"limit": "1", **state}
            while (page := (await http.get(path, params=query)).json())["data"]:
                seen.append(page["last_id"])
                query["after"] = page["last_id"]
                if state:
                    await WebhookStore(database).delivered(page["last_id"])
                else:
                    await http.delete(f"{path}/{page['last_id']}")
            assert sorted(seen) == sorted(made if state else [hook["id"] for hook in hooks])
            nonsense = await http.get(path, params={"after": "nonsense"})
            assert (nonsense.status_code, nonsense.json()["error"]["code"]) == (400, "invalid_cursor")


async def test_one_that_is_down_is_tried_again_later(stage: Stage, tenant: Tenant, web: Web, database: Database) -> None:
    async with serving(stage, tenant) as http:
        web.says("/hook", status="503 Service Unavailable")
        await add(http, f"{web.origin}/hook")
        await begin(http, "hi")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (waiting := (await deliveries(http, "waiting", 1))[0])["error"] is None:
                await asyncio.sleep(0.05)
        assert "503" in waiting["error"]
        assert waiting["next_attempt_at"] > waiting["created_at"]
        web.says("/hook")
        async with database.everyone() as connection:  # the pause is over
            await connection.execute(sa.update(webhook_deliveries).values(next_at=sa.func.now()))
        delivered = (await deliveries(http, "delivered", 1))[0]
        assert (delivered["attempts"], delivered["error"]) == (2, None)


async def test_what_leads_into_the_house_is_a_dead_letter_at_once_and_can_be_sent_again_elsewhere(
    stage: Stage, tenant: Tenant, other_tenant: Tenant, web: Web
) -> None:
    async with serving(stage, tenant) as http:
        hook = await add(http, f"{web.origin}/hook")
    async with serving(stage, tenant, private=None) as http:
        await begin(http, "hi")
        dead = (await deliveries(http, "dead", 1))[0]
        assert dead["webhook_id"] == hook["id"]
        assert "127.0.0.1" in dead["error"]
        assert web.requests == []
    async with serving(stage, tenant) as http:
        again = await http.post(f"/admin/v1/webhook_deliveries/{dead['id']}/send_again")
        assert again.json()["state"] == "waiting"
        assert (await deliveries(http, "delivered", 1))[0]["id"] == dead["id"]
        assert parts(web.requests[0])[0]["webhook-id"] == dead["id"]
    async with serving(stage, other_tenant) as foreign:
        assert (await foreign.post(f"/admin/v1/webhook_deliveries/{dead['id']}/send_again")).status_code == 404
        assert (await foreign.get(f"/admin/v1/webhooks/{hook['id']}")).status_code == 404
        assert (await foreign.get("/admin/v1/webhook_deliveries")).json()["data"] == []


async def secrets(database: Database, organization_id: str) -> list[str]:
    async with database.tenant(organization_id) as connection:
        return list((await connection.execute(sa.select(webhook_endpoints.c.secret))).scalars())


async def test_secrets_are_sealed_in_the_database_and_old_keys_open_what_they_sealed(
    stage: Stage, tenant: Tenant, web: Web, database: Database
) -> None:
    home, key_file = tenant.principal.organization_id, stage.home / "sealing.key"
    async with serving(stage, tenant) as http:
        hook = await add(http, f"{web.origin}/hook")
        clear = hook["secret"]
        [sealed] = await secrets(database, home)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert clear not in sealed
    async with database.tenant(home) as connection:  # as it was kept before
        await connection.execute(sa.update(webhook_endpoints).values(secret=clear))
    async with serving(stage, tenant):
        [again] = await secrets(database, home)
    assert again.startswith(sealed.rpartition(":")[0])
    assert again != sealed
    key_file.write_bytes(base64.b64encode(b"n" * 32) + b"\n" + key_file.read_bytes())
    async with serving(stage, tenant):
        [rotated] = await secrets(database, home)
    assert rotated.split(":")[1] != sealed.split(":")[1]
    key_file.write_bytes(base64.b64encode(b"n" * 32))  # the old one is not needed any more
    async with serving(stage, tenant) as http:
        await begin(http, "hi")
        await deliveries(http, "delivered", 1)
        headers, body = parts(web.requests[0])
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(clear.removeprefix("whsec_"))
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}"


async def test_a_server_without_the_key_sends_nothing_and_says_why(
    stage: Stage, tenant: Tenant, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(stage, tenant) as http:
        hook = await add(http, f"{web.origin}/hook")
    (stage.home / "sealing.key").write_bytes(base64.b64encode(b"x" * 32))
    async with serving(stage, tenant) as http:
        assert f"the secret of webhook {hook['id']} cannot be opened" in caplog.text
        await begin(http, "hi")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (await deliveries(http, "waiting", 1))[0]["error"]:
                await asyncio.sleep(0.05)
        assert web.requests == []
    assert hook["secret"] not in caplog.text


@pytest.mark.parametrize("content", [b"", b"x", b"c2hvcnQ=", base64.b64encode(b"x" * 32) + b"\nnot a key"])
def test_a_file_that_holds_no_keys_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sealing.key").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"sealing_key_file: .*does not hold keys"):
        open_keyring(tmp_path / "sealing.key")


def test_a_sealed_secret_opens_for_its_own_row_alone(tmp_path: Path) -> None:
    keyring = open_keyring(tmp_path / "sealing.key")
    sealed = keyring.seal("whsec_x", owner="whk_1")
    assert keyring.open(sealed, owner="whk_1") == "whsec_x"
    for owner, text in (
        ("whk_2", sealed),
        ("whk_1", sealed[:-8]),
        ("whk_1", sealed + "x"),
        ("whk_1", "whsec_x"),
        ("whk_1", ""),
    ):
        with pytest.raises(Unavailable):
            keyring.open(text, owner=owner)


async def test_a_receiver_that_never_answers_keeps_no_other_waiting(stage: Stage, tenant: Tenant, web: Web) -> None:
    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(PATIENCE_SECONDS)

    async with serving(stage, tenant) as http:
        web.answers["/silent"] = silence
        await add(http, f"{web.origin}/silent")
        await add(http, f"{web.origin}/hook")
        for n in range(3):
            await begin(http, f"{n}")
        await deliveries(http, "delivered", 3)


async def test_an_endpoint_that_hangs_with_all_that_it_missed_keeps_no_other_tenant_waiting(
    stage: Stage, tenant: Tenant, other_tenant: Tenant, web: Web, database: Database
) -> None:
    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(PATIENCE_SECONDS)

    web.answers["/silent"] = silence
    async with serving(stage, tenant) as http:
        hook = await add(http, f"{web.origin}/silent")
    missed = """
        INSERT INTO webhook_deliveries (id, organization_id, endpoint_id, event, object_id)
        SELECT :hook || n, :organization, :hook, 'response.completed', 'resp_' || n FROM generate_series(1, 200) n
    """
    values = {"hook": hook["id"], "organization": tenant.principal.organization_id}
    async with database.everyone() as connection:
        await connection.execute(sa.text(missed), values)
    async with serving(stage, other_tenant) as http:
        while len(web.requests) < 2:
            await asyncio.sleep(0.05)
        await add(http, f"{web.origin}/hook")
        await begin(http, "hi")
        await deliveries(http, "delivered", 1)
        assert sum(raw.startswith(b"POST /silent") for raw in web.requests) < AT_ONCE, "there is always room for another one"
    async with serving(stage, tenant) as http:
        await http.delete(f"/admin/v1/webhooks/{hook['id']}")


async def test_an_organisation_whose_endpoints_all_hang_keeps_no_other_waiting(
    stage: Stage, tenant: Tenant, other_tenant: Tenant, web: Web, database: Database
) -> None:
    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(PATIENCE_SECONDS)

    async with serving(stage, tenant) as http:
        hooks = [await add(http, f"{web.origin}/silent{n}") for n in range(10)]
    web.answers |= {f"/silent{n}": silence for n in range(10)}
    missed = """
        INSERT INTO webhook_deliveries (id, organization_id, endpoint_id, event, object_id)
        SELECT h || n, :organization, h, 'response.completed', 'resp_' || n
        FROM generate_series(1, 20) n, unnest(CAST(:hooks AS text[])) h
    """
    values = {"hooks": [hook["id"] for hook in hooks], "organization": tenant.principal.organization_id}
    async with database.everyone() as connection:
        await connection.execute(sa.text(missed), values)
    async with serving(stage, other_tenant) as http:
        while len(web.requests) < SHARE_OF_ORGANIZATION:
            await asyncio.sleep(0.05)
        await add(http, f"{web.origin}/hook")
        await begin(http, "hi")
        async with asyncio.timeout(ANSWER_SECONDS * 0.7):  # none of those that hang has ended
            await deliveries(http, "delivered", 1)
        assert sum(raw.startswith(b"POST /silent") for raw in web.requests) < AT_ONCE, "there is always room for another one"
    async with serving(stage, tenant) as http:
        for hook in hooks:
            await http.delete(f"/admin/v1/webhooks/{hook['id']}")


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "https://user:pw@example.com/", "https:///x", "x" * 3000, "http://[::1", "javascript:1"]
)
async def test_what_is_no_address_is_refused_by_name(stage: Stage, tenant: Tenant, url: str) -> None:
    async with serving(stage, tenant) as http:
        hook = await add(http, "https://example.com/hook")
        for path in ("/admin/v1/webhooks", f"/admin/v1/webhooks/{hook['id']}"):
            refused = await http.post(path, json={"url": url, "events": ALL})
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "url")
        assert (await http.get(f"/admin/v1/webhooks/{hook['id']}")).json()["url"] == "https://example.com/hook"
        await http.delete(f"/admin/v1/webhooks/{hook['id']}")
        unknown = await http.post("/admin/v1/webhooks", json={"url": "https://example.com", "events": ["everything"]})
        assert unknown.status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "0x7f.1", "[::1]", "[::ffff:192.168.0.1]", "169.254.169.254"])
async def test_an_address_that_nothing_is_ever_sent_to_is_refused_when_it_is_given(
    stage: Stage, tenant: Tenant, host: str
) -> None:
    async with serving(stage, tenant, private=None) as http:
        hook = await add(http, "https://example.com/hook")
        for path in ("/admin/v1/webhooks", f"/admin/v1/webhooks/{hook['id']}"):
            refused = await http.post(path, json={"url": f"http://{host}:8080/hook", "events": ALL})
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "url")
        await http.delete(f"/admin/v1/webhooks/{hook['id']}")


async def test_an_address_that_the_operator_allows_is_taken(stage: Stage, tenant: Tenant) -> None:
    async with serving(stage, tenant, private="10.0.0.0/8") as http:
        hook = await add(http, "http://10.1.2.3:8080/hook")
        await http.delete(f"/admin/v1/webhooks/{hook['id']}")


async def test_a_secret_is_shown_when_it_is_made_and_each_change_is_in_the_audit_log_without_it(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with serving(stage, tenant) as http:
        hook = await add(http, "https://example.com/s3cret-path")
        path = f"/admin/v1/webhooks/{hook['id']}"
        assert "secret" not in (await http.get(path)).json()
        rotated = (await http.post(f"{path}/rotate")).json()["secret"]
        assert rotated != hook["secret"]
        await http.post(path, json={"events": ["response.failed"]})
        assert [one["id"] for one in (await http.get("/admin/v1/webhooks")).json()["data"]] == [hook["id"]]
        assert (await http.delete(path)).json()["deleted"] is True
        assert (await http.delete(path)).status_code == 404
    async with database.tenant(tenant.principal.organization_id) as connection:
        query = sa.select(audit_records.c.kind, audit_records.c.record).where(audit_records.c.object == hook["id"])
        rows = (await connection.execute(query.order_by(audit_records.c.id))).all()
        assert (await connection.execute(sa.select(sa.func.count()).select_from(webhook_endpoints))).scalar_one() == 0
    assert [row.kind for row in rows] == ["webhook.created", "webhook.rotated", "webhook.updated", "webhook.deleted"]
    assert all("s3cret" not in repr(row) and rotated not in repr(row) for row in rows)


async def test_an_auditor_is_told_the_host_and_not_the_address(stage: Stage, tenant: Tenant) -> None:
    async with serving(stage, tenant) as http:
        hook = await add(http, "https://example.com:8443/s3cret-path?token=s3cret")
        path = f"/admin/v1/webhooks/{hook['id']}"
        auditing = (await http.post("/admin/v1/keys", json={"name": "auditor's", "scopes": ["audit"]})).json()["secret"]
        headers = {"authorization": f"Bearer {auditing}"}
        seen = (await http.get(path, headers=headers)).json()
        listed = (await http.get("/admin/v1/webhooks", headers=headers)).json()["data"]
        assert (seen["url"], listed) == ("https://example.com:8443", [seen])
        assert (await http.get(path)).json()["url"] == hook["url"]
