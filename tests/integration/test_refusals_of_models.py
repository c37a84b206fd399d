"""What a model says instead of an answer is no answer: on both wires, under a strict schema, and when it is sent back."""

from typing import Any

import pytest
from pydantic import BaseModel

from tests.doubles.raw_peer import Answer, delta, ending, raw_peer, sse
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_busy_providers import opened

NO = "I cannot help with that."
REFUSES = {"reply": {"refusal": NO}}
HI: Any = [{"role": "user", "content": "hi"}]
ASKED: Any = {"model": "scripted", "messages": HI}


class Place(BaseModel):
    city: str


@pytest.mark.parametrize("store", [False, True], ids=["unstored", "stored"])
async def test_the_sdk_is_told_in_chat(stage: Stage, tenant: Tenant, store: bool) -> None:
    async with opened(stage, tenant, REFUSES) as (_, client):
        parsed = await client.chat.completions.parse(**ASKED, store=store, response_format=Place)
        message = parsed.choices[0].message
        assert (message.content, message.refusal, message.parsed) == (None, NO, None)
        assert parsed.choices[0].finish_reason == "stop"
        if store:
            assert (await client.chat.completions.retrieve(parsed.id)).choices[0].message.refusal == NO
        async with client.chat.completions.stream(**ASKED, store=store, response_format=Place) as stream:
            kinds = [event.type async for event in stream]
            rebuilt = (await stream.get_final_completion()).choices[0].message
        assert (rebuilt.content, rebuilt.refusal) == (None, NO)
        assert {"refusal.delta", "refusal.done"} <= set(kinds)


@pytest.mark.parametrize("store", [False, True], ids=["unstored", "stored"])
async def test_the_sdk_is_told_in_responses(stage: Stage, tenant: Tenant, store: bool) -> None:
    async with opened(stage, tenant, REFUSES) as (_, client):
        parsed = await client.responses.parse(model="scripted", input="hi", store=store, text_format=Place)
        (said,) = parsed.output
        assert said.type == "message"
        assert (parsed.status, parsed.output_parsed, parsed.output_text) == ("completed", None, "")
        assert [part.to_dict() for part in said.content] == [{"type": "refusal", "refusal": NO}]
        async with client.responses.stream(model="scripted", input="hi", store=store, text_format=Place) as stream:
            events = [event async for event in stream]
        assert "".join(event.delta for event in events if event.type == "response.refusal.delta") == NO
        assert [event.refusal for event in events if event.type == "response.refusal.done"] == [NO]
        assert not [event for event in events if "output_text" in event.type]


async def test_the_conversation_keeps_it(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, REFUSES) as (_, client):
        conversation = await client.conversations.create()
        await client.responses.create(input="hi", conversation=conversation.id)
        items: Any = [item async for item in client.conversations.items.list(conversation.id, order="asc")]
        assert [part.type for item in items for part in item.content] == ["input_text", "refusal"]


async def test_a_provider_that_refuses_is_understood_and_reads_its_refusal_again(stage: Stage, tenant: Tenant) -> None:
    refusal = sse(delta(role="assistant", content=""), delta(refusal="I "), delta(refusal="refuse."), ending())
    answers = [Answer(pieces=[refusal]), Answer(pieces=[sse(delta(content="Because."), ending())])]
    async with raw_peer(*answers) as peer:
        fields = {"backend": "openai", "model": "m", "api_base": peer.address}
        async with opened(stage, tenant, **fields) as (_, client):
            first = await client.chat.completions.create(**ASKED)
            message = first.choices[0].message
            assert (message.content, message.refusal) == (None, "I refuse.")
            again: Any = [*HI, message.to_dict(), {"role": "user", "content": "why?"}]
            second = await client.chat.completions.create(model="scripted", messages=again)
            assert second.choices[0].message.content == "Because."
    assert peer.received[1].body["messages"][1] == {"role": "assistant", "content": "I refuse."}
