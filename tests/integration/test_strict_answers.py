"""What a model answers under a strict schema is what the schema says, or the turn failed, on every wire and after a crash."""

import asyncio
import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from core.conversations.request import Queue
from core.events import TurnStatus
from core.llm.contract import JsonFormat
from core.storage.database import Database
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_batches import begin, content, line, sdk, serving, until
from tests.integration.test_idempotency import CHAT, RESPONSES, body_of, client
from tests.integration.test_recovery import Control, cut
from tests.integration.test_turns import asking, text

CODE = "model_answer_invalid"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
WRONG = {"reply": {"text": '{"town": "Ulm"}'}}
RIGHT = {"reply": {"text": '{"city": "Ulm"}'}}


def structured(path: str, *, strict: bool = True, **more: Any) -> dict[str, Any]:
    named = {"name": "place", "strict": strict, "schema": SCHEMA}
    if path == CHAT:
        return {**body_of(path, **more), "response_format": {"type": "json_schema", "json_schema": named}}
    return {**body_of(path, **more), "text": {"format": {"type": "json_schema", **named}}}


@pytest.mark.parametrize("store", [False, True], ids=["unstored", "stored"])
async def test_an_answer_that_breaks_a_strict_schema_is_a_failure(stage: Stage, tenant: Tenant, store: bool) -> None:
    async with stage.open_with(WRONG) as platform, client(platform, tenant) as http:
        chat = await http.post(CHAT, json=structured(CHAT, store=store))
        assert (chat.status_code, chat.json()["error"]["code"]) == (502, CODE)
        assert "town" not in chat.text
        streamed = await http.post(CHAT, json=structured(CHAT, store=store, stream=True))
        *_, failed, done = streamed.text.split("\n\n")[:-1]
        assert (json.loads(failed.removeprefix("data: "))["error"]["code"], done) == (CODE, "data: [DONE]")
        refused = await http.post(RESPONSES, json=structured(RESPONSES, store=store))
        assert (refused.status_code, refused.json()["error"]["code"]) == (502, CODE)
        if store:
            response = (await http.get(f"{RESPONSES}/{refused.headers['x-paddock-turn-id']}")).json()
            assert (response["status"], response["error"]["code"]) == ("failed", CODE)
            assert response["output"][0]["content"][0]["text"] == WRONG["reply"]["text"]
            assert response["usage"]["output_tokens"] > 0
        events = (await http.post(RESPONSES, json=structured(RESPONSES, store=store, stream=True))).text
        assert "event: response.failed" in events
        assert CODE in events


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_what_is_not_promised_is_not_checked(stage: Stage, tenant: Tenant, path: str) -> None:
    call = {"when": {"contains": "call"}, "reply": {"tool_calls": [{"name": "f", "arguments": {}}]}}
    async with stage.open_with(call, WRONG) as platform, client(platform, tenant) as http:
        loose = (await http.post(path, json=structured(path, strict=False))).json()
        function = {"name": "f", "parameters": {"type": "object"}}
        tool = {"type": "function", "function": function} if path == CHAT else {"type": "function", **function}
        calls = (await http.post(path, json={**structured(path, text="call"), "tools": [tool]})).json()
        for whole in (loose, calls):
            assert whole.get("status", "completed") == "completed"
            assert whole.get("error") is None


async def test_an_answer_that_was_cut_short_is_incomplete(stage: Stage, tenant: Tenant) -> None:
    short = {"reply": {"text": '{"ci'}, "finish": "length"}
    async with stage.open_with(short) as platform, client(platform, tenant) as http:
        response = (await http.post(RESPONSES, json=structured(RESPONSES))).json()
        assert response["status"] == "incomplete", response


class Place(BaseModel):
    city: str


async def test_the_sdk_parses_what_keeps_the_schema(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(RIGHT) as platform, client(platform, tenant) as http:
        http.base_url = "http://paddock/v1"
        api = openai.AsyncOpenAI(base_url="http://paddock/v1", api_key=tenant.secret, http_client=http)
        response = await api.responses.parse(model="scripted", input="hi", text_format=Place)
        assert response.output_parsed == Place(city="Ulm")
        chat = await api.chat.completions.parse(
            model="scripted", messages=[{"role": "user", "content": "hi"}], response_format=Place
        )
        assert chat.choices[0].message.parsed == Place(city="Ulm")


async def test_a_turn_whose_process_died_is_judged_in_the_same_way_and_asked_no_second_time(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    asked = asking("go", format=JsonFormat(schema=SCHEMA, strict=True), queue=Queue.BACKGROUND)
    async with stage.open_with({**WRONG, "times": 1}, RIGHT, lease_seconds=1) as platform, asyncio.timeout(30):
        turn = await platform.turns.start(tenant.principal, asked)
        ended = await platform.turns.wait(tenant.principal, turn.id)
        whole = Control(turn, await platform.turns.events(tenant.principal, turn.id))
        again = await platform.turns.wait(tenant.principal, await cut(database, whole, len(whole.events) - 1))
        for one in (ended, again):
            assert (one.status, one.reason) == (TurnStatus.FAILED, CODE)
            assert one.usage.output > 0
            assert text(await platform.turns.events(tenant.principal, one.id)) == WRONG["reply"]["text"]


async def test_a_batch_tells_it_as_a_failed_line(stage: Stage, tenant: Tenant) -> None:
    named = structured(CHAT)["response_format"]
    async with serving(stage) as platform, sdk(platform, tenant) as api:
        batch = await begin(
            api, [line("strict", "hi", url=CHAT, response_format=named), line("loose", "hi", url=CHAT)], endpoint=CHAT
        )
        batch = await until(api, batch, "completed")
        assert batch.request_counts is not None
        assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 1)
        assert CODE in json.dumps((await content(api, batch.error_file_id))["strict"])
