"""A provider that takes no more for now is not in trouble: who asked is told when to come again, and nobody is shut out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from api.batches import WIRES
from core.bootstrap import Platform, open_platform
from core.config import Settings
from core.conversations.request import Queue
from core.events import TurnDeferred, TurnStatus
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_batches import begin, content, line, sdk, until
from tests.integration.test_trying_again import ended

CODE = "rate_limit_exceeded"
CHAT = "/v1/chat/completions"
SAID: Any = [{"role": "user", "content": "hi"}]


def busy(seconds: float | None = None, **more: Any) -> dict[str, Any]:
    return {"reply": {"error": {"status": 429, "message": "slow down", "retry_after": seconds}}, **more}


@asynccontextmanager
async def opened(
    stage: Stage, tenant: Tenant, *rules: Any, limits: Any = None, **fields: Any
) -> AsyncIterator[tuple[Platform, openai.AsyncOpenAI]]:
    """fields: of the model."""
    model = {
        "name": "scripted",
        "backend": "scripted",
        **({"script": list(rules)} if rules else {}),
        "retries": {"attempts": 1},
        **fields,
    }
    made = {"home": stage.home, "config": stage.home / "paddock.yaml", "models": [model], "limits": limits or {}}
    async with (
        open_platform(Settings.model_validate(made), stage.addresses, WIRES) as platform,
        sdk(platform, tenant) as client,
    ):
        yield platform, client


async def ask(client: openai.AsyncOpenAI, route: str) -> Any:
    match route:
        case "responses":
            return await client.responses.create(input="hi", store=False)
        case "chat":
            return await client.chat.completions.create(model="scripted", messages=SAID)
        case _:
            return await client.chat.completions.create(model="scripted", messages=SAID, stream=True)


@pytest.mark.parametrize("route", ["responses", "chat", "chat stream"])
async def test_the_client_is_told_in_openais_words_and_when_to_come_again(stage: Stage, tenant: Tenant, route: str) -> None:
    async with opened(stage, tenant, busy(7, times=1), busy(times=1), busy(90, times=1), {"reply": "Hi"}) as (_, client):
        waits: list[tuple[str | None, str | None]] = []
        for _attempt in range(3):
            with pytest.raises(openai.RateLimitError, match="slow down") as told:
                await ask(client, route)
            assert (told.value.status_code, told.value.code) == (429, CODE)
            headers = told.value.response.headers
            waits.append((headers.get("retry-after"), headers.get("x-should-retry")))
        assert waits == [("7", None), (None, None), ("90", "false")]
        assert await ask(client, route)


async def test_the_model_stays_open_to_everybody(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, busy(times=9), {"reply": "Hi"}, breaker={"failures": 2}) as (_, client):
        for _ in range(9):
            with pytest.raises(openai.RateLimitError):
                await ask(client, "chat")
        assert (await ask(client, "chat")).choices[0].message.content == "Hi"


async def test_a_short_wait_is_waited_within_the_turn(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, busy(0.01, times=2), {"reply": "Hi"}, retries={"base_seconds": 0.01}) as (_, client):
        assert (await ask(client, "responses")).output_text == "Hi"


async def test_a_stored_response_keeps_why_it_failed(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, busy(7)) as (_, client):
        events = [event async for event in await client.responses.create(input="hi", stream=True)]
        assert events[-1].type == "response.failed"
        stored = await client.responses.retrieve(events[-1].response.id)
        assert stored.error is not None
        assert (stored.status, stored.error.code) == ("failed", CODE)


async def test_a_turn_in_the_background_waits_and_goes_on(stage: Stage, tenant: Tenant) -> None:
    rules = (busy(times=1), {"reply": {"text": "Hi"}})
    async with opened(stage, tenant, *rules, limits={"background_retries": [0.1]}) as (platform, _):
        turn = await ended(platform, tenant, Queue.BACKGROUND)
        events = [recorded.event for recorded in await platform.turns.events(tenant.principal, turn.id)]
    assert turn.status is TurnStatus.COMPLETED
    assert [event.reason for event in events if isinstance(event, TurnDeferred)] == [CODE]


async def test_a_batch_tells_it_as_a_failed_line(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, busy(), limits={"background_retries": []}) as (_, client):
        batch = await until(client, await begin(client, [line("a", "hi", url=CHAT)], endpoint=CHAT), "completed")
        told = (await content(client, batch.error_file_id))["a"]["response"]
        assert (told["status_code"], told["body"]["error"]["code"]) == (429, CODE)
