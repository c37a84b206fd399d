"""What an operator sees of a server: metrics as Prometheus reads them, traces as a collector gets them."""

import asyncio
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from core.audit.waiting import SealDelay
from core.bootstrap import Platform, open_platform
from core.config import Settings
from core.conversations import queue_depth
from core.conversations.queue_depth import QueueDepth
from core.conversations.request import Queue
from core.storage import limiter
from core.storage.audit_seals import SealStore
from core.storage.database import Database, open_database
from core.storage.turns import TurnStore
from core.telemetry import tracing
from tests.doubles.collector import own_collector
from tests.integration.conftest import Stage, Tenant, make_tenant
from tests.integration.test_postgres_goes_away import own_server
from tests.integration.test_turns import asking

CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "the cat's secret name"}]}
CALLS = {"reply": {"tool_calls": [{"name": "code_interpreter", "arguments": {"code": "6*7"}}]}}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def to_the_last_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector is there: on a slow machine too it gets all of them, however long that takes."""
    monkeypatch.setattr(tracing, "SEND_SECONDS", 60.0)
    monkeypatch.setattr(tracing, "LAST_SECONDS", 60.0)


@asynccontextmanager
async def serving(
    stage: Stage, tenant: Tenant, *rules: Mapping[str, Any], model: Mapping[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[Platform, httpx.AsyncClient]]:
    scripted = {"name": "scripted", "backend": "scripted", "script": list(rules or ({"reply": "Mog"},))}
    made = Settings.model_validate(
        {"home": stage.home, "config": stage.home / "paddock.yaml", "models": [model or scripted], **settings}
    )
    headers = {"authorization": f"Bearer {tenant.secret}"}
    async with open_platform(made, stage.addresses) as platform:
        transport = httpx.ASGITransport(create_app(platform))
        async with httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=headers) as client:
            yield platform, client


def values(text: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels, which come in order of their names."""
    families = text_string_to_metric_families(text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


async def scrape_at_rest(client: httpx.AsyncClient) -> dict[tuple[str, ...], float]:
    """A turn is answered a moment before it is counted."""
    async with asyncio.timeout(60):
        while (seen := values((await client.get("/metrics")).text))["paddock_turns_running",]:
            await asyncio.sleep(0.01)
        return seen


async def test_what_a_model_refuses_for_its_input_is_no_failed_turn(stage: Stage, tenant: Tenant) -> None:
    error = {"status": 400, "code": "context_length_exceeded", "message": "too long"}
    model = {"name": "scripted", "backend": "scripted", "script": [{"reply": {"error": error}}]}
    async with serving(stage, tenant, model=model) as (_, client):
        refused = await client.post("/v1/responses", json={"model": "scripted", "input": "x"})
        seen = await scrape_at_rest(client)
    assert refused.status_code == 400
    assert {key: value for key, value in seen.items() if key[0] == "paddock_turns_total"} == {
        ("paddock_turns_total", "scripted", "refused"): 1
    }


async def ended(client: httpx.AsyncClient, *made: httpx.Response) -> dict[tuple[str, ...], float]:
    """How many turns ended how, when these have."""
    async with asyncio.timeout(60):
        for one in made:
            while (await client.get(f"/v1/responses/{one.json()['id']}")).json()["status"] in ("queued", "in_progress"):
                await asyncio.sleep(0.05)
    seen = await scrape_at_rest(client)
    return {key[1:]: value for key, value in seen.items() if key[0] in ("paddock_turns_total", "paddock_turn_seconds_count")}


LATER = {"model": "scripted", "input": "later", "max_output_tokens": 40, "background": True}


async def test_a_turn_that_is_tried_three_times_ends_once(stage: Stage, tenant: Tenant) -> None:
    error = {"status": 503, "code": "down", "message": "down"}
    model = {"name": "scripted", "backend": "scripted", "script": [{"reply": {"error": error}}], "retries": {"attempts": 1}}
    async with serving(stage, tenant, model=model, limits={"background_retries": [0.1, 0.1]}) as (_, client):
        seen = await ended(client, await client.post("/v1/responses", json=LATER))
    assert seen == {("scripted", "failed"): 1, ("scripted",): 1}


async def test_a_turn_that_cannot_go_on_in_another_process_is_counted_there(stage: Stage, tenant: Tenant) -> None:
    async with serving(stage, tenant, limits={"background_turns": 0}) as (_, client):
        made = await client.post("/v1/responses", json=LATER)
    other = {"name": "other", "backend": "scripted", "script": [{"reply": "x"}]}
    async with serving(stage, tenant, model=other) as (_, client):
        seen = await ended(client, made)
    assert seen == {("scripted", "failed"): 1}


async def test_turns_that_are_beyond_their_callers_quota_are_no_failures_of_ours(stage: Stage, tenant: Tenant) -> None:
    most = {"requests_per_minute": 10**4, "requests_per_day": 10**6, "tokens_per_minute": 10**9, "concurrent_turns": 1_000}
    tiers = {"tiers": {"small": {**most, "tokens_per_month": 60}}, "default_tier": "small"}
    long = {"reply": "four " * 50}
    async with serving(stage, tenant, long, limits={"background_turns": 0}, **tiers) as (_, client):
        made = [await client.post("/v1/responses", json=LATER) for _ in range(3)]
    async with serving(stage, tenant, long, **tiers) as (_, client):
        seen = await ended(client, *made)
    assert seen["scripted", "refused"] == 2
    assert ("scripted", "failed") not in seen


async def test_a_turn_with_a_tool_is_seen_in_the_metrics_of_every_part(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "ANSWER_SECONDS", 60.0)  # Redis is not away because the machine stood still
    prices = {"input": 1, "output": 2}
    body = {"model": "scripted", "input": "compute", "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}
    script = [{"when": {"after_tool": True}, "reply": "42"}, CALLS]
    model = {"name": "scripted", "backend": "scripted", "script": script, "prices": prices}
    async with serving(stage, tenant, model=model) as (_, client):
        assert (await client.post("/v1/responses", json=body)).status_code == 200
        seen = await scrape_at_rest(client)
    assert seen["paddock_requests_total", "POST", "/v1/responses", "200"] == 1
    assert seen["paddock_turns_total", "scripted", "completed"] == 1
    assert seen["paddock_model_calls_total", "scripted", "ok"] == 2
    assert seen["paddock_tokens_total", "output", "scripted"] > 0
    assert seen["paddock_cost_dollars_total", "scripted"] > 0
    assert seen["paddock_tool_runs_total", "code", "ok", "code_interpreter"] == 1
    assert seen["paddock_sandbox_runs_total", "ok", "wasmtime"] == 1
    assert seen["paddock_sandbox_cpu_seconds_total", "wasmtime"] > 0
    assert seen["paddock_journal_commit_seconds_count",] >= 2
    assert seen["paddock_limiter_redis_up",] == 1
    assert ("paddock_database_connections", "app") in seen
    assert seen["paddock_turns_running",] == 0


async def test_a_reply_that_was_cut_off_is_in_the_metrics_what_it_is_in_the_usage(stage: Stage, tenant: Tenant) -> None:
    slow = {"pace_seconds": 0.05, "piece_characters": 20, "reply": {"text": "slow words go by " * 4000}}
    model = {"name": "scripted", "backend": "scripted", "prices": {"input": 1000, "output": 1000}, "script": [slow]}
    async with serving(stage, tenant, model=model) as (_, client):
        made = (await client.post("/v1/responses", json={"model": "scripted", "input": "tell me", "background": True})).json()
        async with asyncio.timeout(60):
            while ("paddock_first_token_seconds_count", "scripted") not in values((await client.get("/metrics")).text):
                await asyncio.sleep(0.05)
            cancelled = (await client.post(f"/v1/responses/{made['id']}/cancel")).json()
        seen = await scrape_at_rest(client)
    assert seen["paddock_model_calls_total", "scripted", "cancelled"] == 1
    assert cancelled["usage"]["output_tokens"] > 0
    for kind in ("input", "output"):
        assert seen["paddock_tokens_total", kind, "scripted"] == cancelled["usage"][f"{kind}_tokens"]
    assert seen["paddock_cost_dollars_total", "scripted"] == pytest.approx(cancelled["usage"]["total_tokens"] / 1000)


async def test_the_wait_of_a_turn_in_the_background_is_measured_once(stage: Stage, tenant: Tenant) -> None:
    async with serving(stage, tenant) as (_, client):
        made = (await client.post("/v1/responses", json={"model": "scripted", "input": "later", "background": True})).json()
        async with asyncio.timeout(60):
            while (await client.get(f"/v1/responses/{made['id']}")).json()["status"] != "completed":
                await asyncio.sleep(0.05)
        seen = await scrape_at_rest(client)
    assert seen["paddock_queue_seconds_count",] == 1


async def test_what_waits_is_counted_by_queue_and_nobody_guesses_while_the_database_is_away(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    turns = TurnStore(database)
    async with serving(stage, tenant, limits={"background_turns": 0}) as (platform, client):
        before = await turns.waiting_by_queue()
        queues = (Queue.BACKGROUND, Queue.BACKGROUND, Queue.BATCH)
        waiting = [await platform.turns.start(tenant.principal, asking("later", queue=queue)) for queue in queues]
        async with asyncio.timeout(60):
            while (seen := values((await client.get("/metrics")).text)).get(("paddock_turns_waiting", "batch")) != (
                before.get(Queue.BATCH, 0) + 1
            ):
                await asyncio.sleep(0.1)
        assert seen["paddock_turns_waiting", "background"] == before.get(Queue.BACKGROUND, 0) + 2
        for turn in waiting:  # or the next test's server takes them
            await platform.turns.cancel(tenant.principal, turn.id)
    async with open_database("postgresql://nobody@127.0.0.1:1/nothing") as away:
        depth = QueueDepth(TurnStore(away))
        await depth.look()
    assert depth.waiting == {}


async def test_what_waits_is_told_again_when_postgresql_is_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its absence Prometheus knows that a server lacks its database."""
    monkeypatch.setattr(queue_depth, "EVERY_SECONDS", 0.1)
    with tempfile.TemporaryDirectory(prefix="paddock-own-") as home:
        async with own_server(Path(home), durable=False) as server:
            own = replace(stage, addresses=replace(stage.addresses, database=server.server.server_url))
            async with open_database(own.addresses.database) as database:
                tenant = await make_tenant(database, "one")
            async with serving(own, tenant) as (_, client):
                del client.headers["authorization"]
                await told_of_waiting(client, True)
                await server.stop()
                await told_of_waiting(client, False)
                await server.start()
                await told_of_waiting(client, True)


async def told_of_waiting(client: httpx.AsyncClient, wanted: bool) -> None:
    async with asyncio.timeout(60):
        while (("paddock_turns_waiting", "background") in values((await client.get("/metrics")).text)) is not wanted:
            await asyncio.sleep(0.05)


async def test_nobody_guesses_what_waits_while_the_database_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        async def waiting_by_queue(self) -> Mapping[int, int]:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    monkeypatch.setattr(queue_depth, "ANSWER_SECONDS", 0.01)
    depth = QueueDepth(cast(TurnStore, Hanging()))
    depth.waiting = {"background": 3}
    async with asyncio.timeout(60):
        await depth.look()
    assert depth.waiting == {}


async def test_how_long_records_wait_to_be_sealed_is_told_where_it_is_known(stage: Stage, tenant: Tenant) -> None:
    async with serving(stage, tenant) as (_, client), asyncio.timeout(60):
        while "paddock_audit_unsealed_seconds " not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.05)
    async with open_database("postgresql://nobody@127.0.0.1:1/nothing") as away:
        delay = SealDelay(SealStore(away))
        delay.seconds = 3.0
        await delay.look()
    assert delay.seconds == {}


async def test_no_label_holds_what_a_caller_wrote_and_unknown_names_are_one(stage: Stage, tenant: Tenant) -> None:
    async with serving(stage, tenant) as (_, client):
        await client.post("/v1/chat/completions", json=CHAT)
        for n in range(50):
            await client.get(f"/v1/responses/resp_secret{n}")
            await client.get(f"/nowhere/secret{n}?secret={n}")
            await client.post("/v1/chat/completions", json={**CHAT, "model": f"secret{n}"})
            await client.request(f"SECRET{n}", "/v1/models")
        text = (await client.get("/metrics")).text
    assert "secret" not in text.lower()
    assert tenant.principal.organization_id not in text
    assert len(re.findall(r"^paddock_requests_total\{", text, re.MULTILINE)) < 10


@pytest.mark.parametrize(
    ("headers", "networks", "status"),
    [
        ({}, ["127.0.0.0/8"], 200),
        ({}, ["10.0.0.0/8"], 401),
        ({}, [], 401),
        ({"x-forwarded-for": "203.0.113.9"}, ["127.0.0.0/8"], 401),
        ({"forwarded": "for=203.0.113.9"}, ["127.0.0.0/8"], 401),
        ({"authorization": "Bearer pk_wrong"}, ["10.0.0.0/8"], 401),
    ],
)
async def test_metrics_are_for_near_networks_and_operators(
    stage: Stage, tenant: Tenant, headers: dict[str, str], networks: list[str], status: int
) -> None:
    async with serving(stage, tenant, metrics_networks=networks) as (_, client):
        del client.headers["authorization"]
        asked = await client.get("/metrics", headers=headers)
        operator = await client.get("/metrics", headers={"authorization": f"Bearer {tenant.secret}"})
    assert asked.status_code == status
    assert operator.status_code == 200


async def test_metrics_are_not_for_who_says_behind_a_proxy_that_he_is_near(stage: Stage, tenant: Tenant) -> None:
    """The proxy leaves the client's line as it is, and adds its own below it."""
    lines = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "203.0.113.9")]
    async with serving(stage, tenant, trusted_proxies=["127.0.0.0/8"]) as (_, client):
        del client.headers["authorization"]
        asked = [await client.get("/metrics", headers=headers) for headers in (lines, lines[:1])]
    assert [answer.status_code for answer in asked] == [401, 200]


@pytest.mark.parametrize("trusted", ["127.0.0.0/8", "10.1.2.3/32"], ids=["trusted", "another is"])
@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "203.0.113.9:51234"},
        {"x-forwarded-for": "[2001:db8::9]:51234"},
        {"x-forwarded-for": "unknown"},
        {"x-forwarded-for": "127.0.0.1, _hidden"},
        {"forwarded": "for=203.0.113.9"},
        {"via": "1.1 proxy"},
    ],
)
async def test_metrics_are_not_for_who_stands_behind_a_proxy_that_does_not_say_who_it_is(
    stage: Stage, tenant: Tenant, headers: dict[str, str], trusted: str
) -> None:
    async with serving(stage, tenant, trusted_proxies=[trusted]) as (_, client):
        del client.headers["authorization"]
        assert (await client.get("/metrics", headers=headers)).status_code == 401


async def test_a_client_that_a_proxy_names_with_its_port_is_near_where_it_is(stage: Stage, tenant: Tenant) -> None:
    async with serving(stage, tenant, trusted_proxies=["127.0.0.0/8"]) as (_, client):
        del client.headers["authorization"]
        for told in ("127.0.0.1:4711", "[::1]:4711", "::1"):
            assert (await client.get("/metrics", headers={"x-forwarded-for": told})).status_code == 200


@pytest.mark.usefixtures("to_the_last_span")
async def test_spans_of_one_request_are_one_tree_and_carry_no_text(stage: Stage, tenant: Tenant) -> None:
    body = {"model": "scripted", "input": "compute it", "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}
    script = [{"when": {"after_tool": True}, "reply": "Mog"}, CALLS]
    async with own_collector() as collector:
        async with serving(stage, tenant, *script, otlp_endpoint=collector.url) as (_, client):
            answer = await client.post("/v1/responses", json=body, headers={"traceparent": TRACEPARENT})
        [gateway], [turn] = collector.named("POST /v1/responses"), collector.named("invoke_agent")
        steps, chats = collector.named("step"), collector.named("chat scripted")
        [tool], [sandbox] = collector.named("execute_tool code_interpreter"), collector.named("sandbox wasmtime")
    assert answer.headers["x-paddock-trace-id"] == TRACEPARENT[3:35]
    assert {span.trace for span in collector.spans} == {TRACEPARENT[3:35]}
    assert gateway.parent == TRACEPARENT[36:52]
    assert turn.parent == gateway.id
    assert [step.parent for step in steps] == [turn.id, turn.id]
    assert [chat.parent for chat in chats] == [step.id for step in steps]
    assert tool.parent == steps[0].id
    assert sandbox.parent == tool.id
    assert turn.attributes["paddock.organization.id"] == tenant.principal.organization_id
    assert chats[0].attributes["gen_ai.usage.input_tokens"] > 0
    assert not any(word in str(collector.spans) for word in ("compute it", "6*7", "Mog"))


@pytest.mark.usefixtures("to_the_last_span")
async def test_messages_are_in_spans_only_where_the_operator_wants_them(stage: Stage, tenant: Tenant) -> None:
    async with own_collector() as collector:
        async with serving(stage, tenant, otlp_endpoint=collector.url, trace_messages=True) as (_, client):
            await client.post("/v1/chat/completions", json=CHAT)
        [chat] = collector.named("chat scripted")
    assert "the cat's secret name" in chat.attributes["gen_ai.input.messages"]
    assert "Mog" in chat.attributes["gen_ai.output.messages"]


@pytest.mark.parametrize("dead", [True, False])
async def test_a_collector_that_hangs_or_is_gone_slows_nothing(
    stage: Stage, tenant: Tenant, dead: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "opentelemetry")
    async with own_collector(hanging=True) as collector:
        address = "http://127.0.0.1:9" if dead else collector.url
        async with asyncio.timeout(60), serving(stage, tenant, otlp_endpoint=address) as (_, client):
            answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=CHAT) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}


async def test_a_provider_is_told_the_trace_also_where_nothing_is_exported(stage: Stage, tenant: Tenant) -> None:
    told: list[str] = []

    async def provider(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 500 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(provider, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        model = {"name": "far", "backend": "openai", "model": "far", "api_base": address, "retries": {"attempts": 1}}
        async with serving(stage, tenant, model=model) as (_, client):
            answer = await client.post("/v1/chat/completions", json={**CHAT, "model": "far"})
    assert answer.status_code in (502, 503)
    assert f"traceparent: 00-{answer.headers['x-paddock-trace-id']}-" in told[0]


@pytest.mark.parametrize(
    "header", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff" + TRACEPARENT[2:], "é" * 100]
)
async def test_a_trace_that_is_not_well_formed_is_not_taken_over(stage: Stage, tenant: Tenant, header: str) -> None:
    async with serving(stage, tenant) as (_, client):
        answer = await client.get("/v1/models", headers=[(b"traceparent", header.encode())])
    assert answer.status_code == 200
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-paddock-trace-id"])
    assert answer.headers["x-paddock-trace-id"] not in (TRACEPARENT[3:35], "0" * 32)
