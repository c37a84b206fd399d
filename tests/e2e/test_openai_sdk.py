"""Every route with OpenAI's own clients, unmodified, against a server as a user starts it."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.e2e.conftest import Gateway

CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
OUTPUTS = ["code_interpreter_call.outputs"]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
WEATHER = {"type": "function", "name": "weather", "description": "The weather", "parameters": CITY, "strict": True}
CHAT_WEATHER = {"type": "function", "function": {"name": "weather", "parameters": CITY, "strict": True}}


class Answer(BaseModel):
    answer: int


@pytest.fixture(params=["sync", "async"])
async def client(request: pytest.FixtureRequest, gateway: Gateway) -> AsyncIterator[Any]:
    kind = OpenAI if request.param == "sync" else AsyncOpenAI
    made = kind(base_url=gateway.base_url, api_key=gateway.key, max_retries=0)
    yield made
    await settled(made.close())


async def settled(value: Any) -> Any:
    """The result of a call, whichever client made it."""
    return await value if inspect.isawaitable(value) else value


async def every(stream: Any) -> list[Any]:
    stream = await settled(stream)
    return [event async for event in stream] if hasattr(stream, "__aiter__") else list(stream)


async def helped(manager: Any, final: str) -> tuple[list[Any], Any]:
    """All events of one of the SDK's stream helpers, and what it rebuilt from them."""
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            return [event async for event in stream], await getattr(stream, final)()
    with manager as stream:
        return list(stream), getattr(stream, final)()


def plain(response: Any) -> dict[str, Any]:
    """As it came over the wire, without what the helpers add."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(inner) for key, inner in value.items() if key not in ("parsed", "parsed_arguments")}
        return [strip(inner) for inner in value] if isinstance(value, list) else value

    result: dict[str, Any] = strip(response.to_dict())
    return result


async def test_a_turn_runs_code_in_the_sandbox_and_the_stream_helper_rebuilds_the_stored_response(client: Any) -> None:
    asked = {"input": "What is 1234 * 5678?", "model": "scripted", "tools": [CODE], "include": OUTPUTS}
    events, rebuilt = await helped(client.responses.stream(**asked), "get_final_response")
    assert rebuilt.status == "completed"
    assert rebuilt.output_text == "Let me see.It is 7006652."
    assert [item.type for item in rebuilt.output] == ["reasoning", "message", "code_interpreter_call", "message"]
    assert rebuilt.output[2].outputs[0].logs == "7006652"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    stored = await settled(client.responses.retrieve(rebuilt.id, include=OUTPUTS))
    assert plain(rebuilt) == plain(stored)
    whole = await settled(client.responses.create(**asked))
    changing = {"id": None, "created_at": None, "completed_at": None, "output": None}
    assert {**plain(whole), **changing} == {**plain(stored), **changing}
    assert whole.output_text == rebuilt.output_text


async def test_a_stored_stream_can_be_followed_again_from_any_event_on(client: Any) -> None:
    first = await every(client.responses.create(input="What is 1234 * 5678?", tools=[CODE], stream=True))
    response_id = first[0].response.id
    again = await every(client.responses.retrieve(response_id, stream=True))
    assert [event.to_json() for event in again] == [event.to_json() for event in first]
    for after in (0, 7, len(first) - 2, len(first) - 1):
        rest = await every(client.responses.retrieve(response_id, stream=True, starting_after=after))
        assert [event.to_json() for event in rest] == [event.to_json() for event in first[after + 1 :]]
    events, rebuilt = await helped(client.responses.stream(response_id=response_id), "get_final_response")
    assert plain(rebuilt) == plain(await settled(client.responses.retrieve(response_id)))
    assert len(events) == len(first)


async def test_a_stream_is_not_followed_from_an_event_that_never_was_nor_when_its_response_is_deleted(client: Any) -> None:
    first = await every(client.responses.create(input="hello", stream=True))
    response_id = first[0].response.id
    last = first[-1].sequence_number
    for how in ({"starting_after": last + 1}, {"extra_headers": {"last-event-id": str(last + 1)}}):
        with pytest.raises(openai.BadRequestError, match=f"has no event {last + 1}; its last one so far is {last}"):
            await settled(client.responses.retrieve(response_id, stream=True, **how))
    await settled(client.responses.delete(response_id))
    with pytest.raises(openai.NotFoundError, match="no response"):
        await settled(client.responses.retrieve(response_id, stream=True, starting_after=0))


async def test_a_running_turn_is_joined_by_a_second_reader(client: Any) -> None:
    stream = await settled(client.responses.create(input="a long story, please", stream=True))
    created = await anext(aiter(stream)) if hasattr(stream, "__aiter__") else next(iter(stream))
    joined = await every(client.responses.retrieve(created.response.id, stream=True))
    first = [created, *(await every(stream))]
    assert [event.to_json() for event in joined] == [event.to_json() for event in first]


async def test_outputs_of_code_are_shown_only_to_who_asks(client: Any) -> None:
    response = await settled(client.responses.create(input="What is 1234 * 5678?", tools=[CODE]))
    assert response.output[2].outputs is None
    asked = await settled(client.responses.retrieve(response.id, include=OUTPUTS))
    assert asked.output[2].outputs[0].logs == "7006652"


async def test_the_report_is_given_to_who_asks_and_the_headers_say_the_same(client: Any) -> None:
    raw = await settled(client.responses.with_raw_response.create(input="What is 1234 * 5678?", tools=[CODE]))
    response = await settled(raw.parse())
    assert "paddock" not in response.to_dict()
    report = (await settled(client.responses.retrieve(response.id, include=["paddock.report"]))).to_dict()["paddock"]
    assert report["turn_id"] == response.id == raw.headers["x-paddock-turn-id"]
    assert report["trace_id"] == raw.headers["x-paddock-trace-id"]
    assert report["request_id"] == raw.headers["x-request-id"]
    assert report["tool_calls"] == int(raw.headers["x-paddock-tool-calls"]) == 1
    assert report["steps"] == 2
    assert report["input_tokens"] == response.usage.input_tokens == int(raw.headers["x-paddock-input-tokens"])
    assert report["output_tokens"] == response.usage.output_tokens == int(raw.headers["x-paddock-output-tokens"])
    cost = (response.usage.input_tokens + 2 * response.usage.output_tokens) / 1_000_000
    assert report["cost_estimate"] == pytest.approx(cost)


async def test_code_that_fails_is_a_failed_call_in_a_turn_that_completes(client: Any) -> None:
    response = await settled(client.responses.create(input="raise", tools=[CODE], include=OUTPUTS))
    assert response.status == "completed"
    assert response.output[0].status == "failed"
    assert "ZeroDivisionError" in response.output[0].outputs[0].logs


async def test_malformed_arguments_are_a_failed_call_whose_code_is_what_could_be_read(client: Any) -> None:
    asked = {"input": "malformed", "model": "scripted", "tools": [CODE], "include": OUTPUTS}
    events, response = await helped(client.responses.stream(**asked), "get_final_response")
    deltas = "".join(event.delta for event in events if event.type == "response.code_interpreter_call_code.delta")
    assert (response.status, response.output[0].status) == ("completed", "failed")
    assert deltas == response.output[0].code == "print(1)"


async def test_functions_of_the_client_end_the_turn_and_their_outputs_continue_the_next(client: Any) -> None:
    asked = {"input": "weather?", "model": "scripted", "tools": [WEATHER]}
    events, response = await helped(client.responses.stream(**asked), "get_final_response")
    calls = response.output
    assert [(call.type, call.name, call.parsed_arguments) for call in calls] == [
        ("function_call", "weather", {"city": "Oslo"}),
        ("function_call", "weather", {"city": "Rome"}),
    ]
    assert [event.type for event in events].count("response.function_call_arguments.done") == 2
    outputs = [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"} for call in calls]
    answer = await settled(
        client.responses.create(input=outputs, previous_response_id=response.id, tools=[WEATHER], store=False)
    )
    assert answer.output_text == "It is rain."
    # the same without the server's memory: the client sends its own history, our items as they came
    said = [{"role": "user", "content": "weather?"}, *calls, *outputs]
    again = await settled(client.responses.create(input=said, tools=[WEATHER], store=False))
    assert again.output_text == "It is rain."


async def test_what_we_answered_is_taken_back_as_history(client: Any) -> None:
    first = await settled(client.responses.create(input="What is 1234 * 5678?", tools=[CODE], include=OUTPUTS))
    history = [{"role": "user", "content": "What is 1234 * 5678?"}, *first.output, {"role": "user", "content": "Thanks"}]
    second = await settled(client.responses.create(input=history, store=False))
    assert second.output_text == "You said: Thanks"


async def test_input_items_are_listed_both_ways_and_page_by_page(client: Any) -> None:
    said = [{"role": "user", "content": f"message {n}"} for n in range(5)]
    response = await settled(client.responses.create(input=said))
    page = await settled(client.responses.input_items.list(response.id, order="asc", limit=2))
    first = [item async for item in page] if hasattr(page, "__aiter__") else list(page)
    assert [item.content[0].text for item in first] == [f"message {n}" for n in range(5)]
    newest = await settled(client.responses.input_items.list(response.id, limit=1))
    assert (newest.data[0].content[0].text, newest.has_more) == ("message 4", True)


async def test_a_response_is_deleted_and_a_synchronous_one_cannot_be_cancelled(client: Any) -> None:
    response = await settled(client.responses.create(input="hi"))
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        await settled(client.responses.cancel(response.id))
    await settled(client.responses.delete(response.id))
    with pytest.raises(openai.NotFoundError):
        await settled(client.responses.retrieve(response.id))
    with pytest.raises(openai.BadRequestError) as refused:
        await settled(client.responses.create(input="more", previous_response_id=response.id))
    assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")


async def test_items_that_are_kept_may_be_referred_to(client: Any) -> None:
    asked = {"role": "user", "content": "the weather"}
    first = await settled(client.responses.create(input=[asked], model="scripted", tools=[WEATHER]))
    calls = [item for item in first.output if item.type == "function_call"]
    pointed = [{"type": "item_reference", "id": item.id} for item in calls]
    outputs = [{"type": "function_call_output", "call_id": item.call_id, "output": "rain"} for item in calls]
    second = await settled(client.responses.create(input=[asked, *pointed, *outputs], model="scripted", tools=[WEATHER]))
    assert second.output_text == "It is rain."
    heard = (await settled(client.responses.input_items.list(second.id, order="asc"))).data
    assert [item.type for item in heard] == ["message", *["function_call"] * 2, *["function_call_output"] * 2]
    assert [item.call_id for item in heard[1:3]] == [item.call_id for item in calls]
    conversation = await settled(client.conversations.create(items=[{"id": second.output[0].id}]))
    kept = (await settled(client.conversations.items.list(conversation.id))).data
    assert [item.content[0].text for item in kept] == ["It is rain."]


async def test_code_that_is_referred_to_is_told_with_what_it_printed(client: Any) -> None:
    first = await settled(client.responses.create(input="What is 1234 * 5678?", model="scripted", tools=[CODE]))
    pointed = [{"type": "item_reference", "id": item.id} for item in first.output]
    again = await settled(client.responses.create(input=[*pointed, {"role": "user", "content": "and?"}], model="scripted"))
    heard = await settled(client.responses.input_items.list(again.id, order="asc", include=OUTPUTS))
    assert [item.type for item in heard.data] == ["reasoning", "message", "code_interpreter_call", "message", "message"]
    assert heard.data[2].outputs[0].logs == "7006652"


async def test_a_reference_to_what_is_not_kept_is_not_found(client: Any) -> None:
    unstored = await settled(client.responses.create(input="hello", model="scripted", store=False))
    with pytest.raises(openai.NotFoundError) as refused:
        await settled(client.responses.create(input=[{"type": "item_reference", "id": unstored.output[0].id}]))
    assert (refused.value.code, refused.value.param) == ("item_not_found", "input[0].id")


async def test_an_unstored_response_leaves_nothing_to_retrieve(client: Any) -> None:
    response = await settled(client.responses.create(input="hi", store=False))
    assert response.output_text == "You said: hi"
    with pytest.raises(openai.NotFoundError):
        await settled(client.responses.retrieve(response.id))


async def test_every_parameter_comes_back_in_the_response(client: Any) -> None:
    response = await settled(
        client.responses.create(
            input=[{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            model="scripted",
            instructions="be brief",
            max_output_tokens=100,
            max_tool_calls=3,
            metadata={"topic": "test"},
            parallel_tool_calls=False,
            prompt_cache_key="k",
            reasoning={"effort": "low"},
            safety_identifier="s",
            service_tier="auto",
            temperature=0.5,
            tool_choice="none",
            tools=[WEATHER, CODE],
            top_p=0.9,
            truncation="auto",
            user="somebody",
        )
    )
    body = response.to_dict()
    assert (body["instructions"], body["max_output_tokens"], body["max_tool_calls"]) == ("be brief", 100, 3)
    assert (body["metadata"], body["parallel_tool_calls"]) == ({"topic": "test"}, False)
    assert (body["reasoning"]["effort"], body["temperature"], body["top_p"]) == ("low", 0.5, 0.9)
    assert (body["tool_choice"], body["truncation"], body["user"]) == ("none", "auto", "somebody")
    assert body["tools"][0]["parameters"] == CITY
    assert body["tools"][1] == CODE
    assert body == (await settled(client.responses.retrieve(response.id))).to_dict()


async def test_structured_outputs_are_parsed_by_the_sdk(client: Any) -> None:
    response = await settled(client.responses.parse(input="json, please", model="scripted", text_format=Answer))
    assert response.output_parsed == Answer(answer=42)
    completion = await settled(
        client.chat.completions.parse(
            messages=[{"role": "user", "content": "json, please"}], model="scripted", response_format=Answer
        )
    )
    assert completion.choices[0].message.parsed == Answer(answer=42)


async def test_what_the_sdk_was_given_can_be_sent_back_however_it_is_written(client: Any) -> None:
    """Its objects, these as dictionaries with all their nulls, and what its helpers add."""
    weather, asked = {"role": "user", "content": "weather?"}, {"model": "scripted", "tools": [WEATHER]}
    for input, settings in (
        ("json, please", {"model": "scripted", "text_format": Answer}),
        ("What is 1234 * 5678?", {"model": "scripted", "tools": [CODE]}),
        ("weather?", asked),
    ):
        first = await settled(client.responses.parse(input=input, include=OUTPUTS, **settings))
        calls = [item for item in first.output if item.type == "function_call"]
        results = [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"} for call in calls]
        for write in (lambda item: item, lambda item: item.model_dump(), lambda item: item.to_dict()):
            history = [{"role": "user", "content": input}, *map(write, first.output), *results]
            again = await settled(client.responses.create(input=history, model="scripted", store=True))
            assert again.status == "completed"
            kept = await settled(client.responses.input_items.list(again.id))
            restated = [item.model_dump() for item in kept.data][::-1]
            assert (await settled(client.responses.create(input=restated, model="scripted"))).status == "completed"
    completion = await settled(client.chat.completions.parse(messages=[weather], model="scripted"))
    said = completion.choices[0].message
    for message in (said, said.model_dump(), said.to_dict()):
        await settled(client.chat.completions.create(messages=[weather, message, weather], model="scripted"))


async def test_what_is_null_is_not_given(client: Any) -> None:
    messages = [{"role": "user", "content": "hello"}]
    nothing = dict.fromkeys(("logit_bias", "functions", "function_call", "audio", "prediction", "web_search_options", "stop"))
    await settled(client.chat.completions.create(messages=messages, model="scripted", **nothing))
    nothing = dict.fromkeys(("prompt", "context_management", "moderation", "truncation", "conversation"))
    await settled(client.responses.create(input="hello", model="scripted", **nothing))
    with pytest.raises(openai.BadRequestError, match="unknown parameter: 'misspelt'"):
        await settled(client.responses.create(input="hello", model="scripted", extra_body={"misspelt": None}))


async def test_an_output_that_answers_no_call_is_refused(client: Any) -> None:
    asked = {"model": "scripted", "tools": [WEATHER]}
    first = await settled(client.responses.create(input="weather?", **asked))
    call = first.output[-1]
    for wrong in (call.id, "nonsense"):
        output = {"type": "function_call_output", "call_id": wrong, "output": "rain"}
        for rest in ({"previous_response_id": first.id}, {}, {"previous_response_id": first.id, "background": True}):
            with pytest.raises(openai.BadRequestError) as refused:
                await settled(client.responses.create(input=[output], **asked, **rest))
            assert (refused.value.code, refused.value.param) == ("tool_call_not_found", "input")
    user, tool = {"role": "user", "content": "weather?"}, {"role": "tool", "tool_call_id": "nonsense", "content": "rain"}
    with pytest.raises(openai.BadRequestError) as refused:
        await settled(client.chat.completions.create(messages=[user, tool], model="scripted"))
    assert (refused.value.code, refused.value.param) == ("tool_call_not_found", "messages[1].tool_call_id")


async def test_an_answer_that_a_limit_cut_off_is_incomplete(client: Any) -> None:
    events = await every(client.responses.create(input="cut short", stream=True))
    assert events[-1].type == "response.incomplete"
    last = events[-1].response
    assert (last.status, last.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (last.output[0].status, last.output_text) == ("incomplete", "This is as far as")
    chat = await settled(client.chat.completions.create(messages=[{"role": "user", "content": "cut short"}], model="scripted"))
    assert chat.choices[0].finish_reason == "length"


async def test_a_provider_that_fails_midway_ends_the_stream_with_an_event_and_the_plain_call_with_a_status(client: Any) -> None:
    events = await every(client.responses.create(input="breaks midway", stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.status == "failed"
    assert events[-1].response.output[0].status == "incomplete"
    assert events[-1].response.error.code == "model_unavailable"
    stored = await settled(client.responses.retrieve(events[-1].response.id))
    assert stored.to_dict() == events[-1].response.to_dict()
    with pytest.raises(openai.InternalServerError) as refused:
        await settled(client.responses.create(input="breaks midway"))
    assert (refused.value.status_code, refused.value.code) == (503, "model_unavailable")
    assert refused.value.response.headers["x-should-retry"] == "false"
    messages = [{"role": "user", "content": "breaks midway"}]
    with pytest.raises(openai.APIError) as broken:
        await every(client.chat.completions.create(messages=messages, model="scripted", stream=True))
    assert broken.value.code == "model_unavailable"


async def test_a_chat_stream_that_never_began_is_a_status(client: Any) -> None:
    messages = [{"role": "user", "content": "the provider is down"}]
    with pytest.raises(openai.InternalServerError) as refused:
        await every(client.chat.completions.create(messages=messages, model="scripted", stream=True))
    assert refused.value.status_code == 503


async def test_hints_are_taken_whatever_becomes_of_them(client: Any) -> None:
    hints = {"service_tier": "flex", "prompt_cache_retention": "24h"}
    response = await settled(client.responses.create(input="hello", text={"verbosity": "low"}, **hints))
    assert (response.text.verbosity, response.service_tier, response.output_text) == ("low", "default", "You said: hello")
    assert plain(await settled(client.responses.retrieve(response.id))) == plain(response)
    asked = {"messages": [{"role": "user", "content": "hello"}], "model": "scripted", "verbosity": "low", "logit_bias": {}}
    whole = await settled(client.chat.completions.create(**asked, **hints))
    chunks = await every(client.chat.completions.create(**asked, stream=True, stream_options={"include_obfuscation": True}))
    assert whole.choices[0].message.content == "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


async def test_a_chat_completion_streams_to_what_the_plain_call_gives(client: Any) -> None:
    asked = {"messages": [{"role": "user", "content": "hello"}], "model": "scripted"}
    whole = await settled(client.chat.completions.create(**asked))
    assert whole.choices[0].message.content == "You said: hello"
    assert whole.choices[0].finish_reason == "stop"
    manager = client.chat.completions.stream(**asked, stream_options={"include_usage": True})
    _, rebuilt = await helped(manager, "get_final_completion")
    assert rebuilt.choices[0].message.content == whole.choices[0].message.content
    assert rebuilt.choices[0].finish_reason == "stop"
    assert rebuilt.usage.to_dict() == whole.usage.to_dict()
    chunks = await every(client.chat.completions.create(**asked, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("nothing", [None, "", []])
async def test_an_assistant_message_that_says_nothing_is_answered(client: Any, nothing: object) -> None:
    messages = [{"role": "assistant", "content": nothing}]
    completion = await settled(client.chat.completions.create(messages=messages, model="scripted"))
    assert completion.choices[0].finish_reason == "stop"


async def test_chat_functions_are_called_and_their_results_understood(client: Any) -> None:
    messages: list[Any] = [{"role": "user", "content": "weather?"}]
    asked = {"model": "scripted", "tools": [CHAT_WEATHER]}
    whole = await settled(client.chat.completions.create(messages=messages, **asked))
    message = whole.choices[0].message
    assert (message.content, whole.choices[0].finish_reason) == (None, "tool_calls")
    assert [call.function.arguments for call in message.tool_calls] == ['{"city": "Oslo"}', '{"city": "Rome"}']
    _, rebuilt = await helped(client.chat.completions.stream(messages=messages, **asked), "get_final_completion")
    rebuilt_calls = rebuilt.choices[0].message.tool_calls
    assert [call.function.parsed_arguments for call in rebuilt_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    for calls in (message, rebuilt.choices[0].message, rebuilt.choices[0].message.model_dump()):
        ids = [call.id for call in message.tool_calls] if calls is message else [call.id for call in rebuilt_calls]
        results = [{"role": "tool", "tool_call_id": id, "name": "weather", "content": "rain"} for id in ids]
        history = [*messages, calls, *results]
        answer = await settled(client.chat.completions.create(messages=history, **asked))
        assert answer.choices[0].message.content == "It is rain."


async def test_an_answer_goes_back_inside_its_own_part(client: Any) -> None:
    said = await settled(client.chat.completions.create(messages=[{"role": "user", "content": "hello"}], model="scripted"))
    rest = said.choices[0].message.model_dump()
    part = {"type": "text", "text": rest.pop("content"), **rest}
    history = [{"role": "assistant", "content": [part]}, {"role": "user", "content": "again"}]
    again = await settled(client.chat.completions.create(messages=history, model="scripted"))
    assert again.choices[0].message.content == "You said: again"


async def test_a_completion_is_kept_when_asked(client: Any) -> None:
    messages = [{"role": "user", "content": "keep this"}]
    kept = await settled(
        client.chat.completions.create(messages=messages, model="scripted", store=True, metadata={"topic": "t"})
    )
    again = await settled(client.chat.completions.retrieve(kept.id))
    assert again.to_dict() == {**kept.to_dict(), "metadata": {"topic": "t"}}
    await settled(client.chat.completions.delete(kept.id))
    unkept = await settled(client.chat.completions.create(messages=messages, model="scripted"))
    for completion in (kept, unkept):
        with pytest.raises(openai.NotFoundError):
            await settled(client.chat.completions.retrieve(completion.id))


async def test_conversations_and_their_items(client: Any) -> None:
    conversations = client.conversations
    conversation = await settled(conversations.create(items=[{"role": "user", "content": "first"}], metadata={"topic": "a"}))
    assert (await settled(conversations.retrieve(conversation.id))).metadata == {"topic": "a"}
    updated = await settled(conversations.update(conversation.id, metadata={"topic": "b"}))
    assert (updated.id, updated.metadata) == (conversation.id, {"topic": "b"})
    added = await settled(conversations.items.create(conversation.id, items=[{"role": "user", "content": "second"}]))
    item = await settled(conversations.items.retrieve(added.data[0].id, conversation_id=conversation.id))
    assert item.content[0].text == "second"
    response = await settled(client.responses.create(input="third", conversation=conversation.id))
    assert response.conversation.id == conversation.id
    page = await settled(conversations.items.list(conversation.id, order="asc", limit=1))
    items = [item async for item in page] if hasattr(page, "__aiter__") else list(page)
    assert [(item.role, item.content[0].text) for item in items] == [
        ("user", "first"),
        ("user", "second"),
        ("user", "third"),
        ("assistant", "You said: third"),
    ]
    await settled(conversations.items.delete(item.id, conversation_id=conversation.id))
    with pytest.raises(openai.NotFoundError):
        await settled(conversations.items.retrieve(item.id, conversation_id=conversation.id))
    deleted = await settled(conversations.delete(conversation.id))
    assert (deleted.id, deleted.deleted) == (conversation.id, True)
    with pytest.raises(openai.NotFoundError):
        await settled(conversations.retrieve(conversation.id))


async def test_one_conversation_runs_one_turn_at_a_time(client: Any, gateway: Gateway) -> None:
    conversation = await settled(client.conversations.create())
    stream = await settled(client.responses.create(input="endless", conversation=conversation.id, stream=True))
    created = await anext(aiter(stream)) if hasattr(stream, "__aiter__") else next(iter(stream))
    with pytest.raises(openai.ConflictError) as refused:
        await settled(client.responses.create(input="me too", conversation=conversation.id))
    assert refused.value.code == "conversation_locked"
    root = client.with_options(base_url=gateway.url)
    cancelled = await settled(root.post(f"/admin/v1/turns/{created.response.id}/cancel", cast_to=object))
    assert cancelled["status"] == "cancelled"
    events = await every(stream)
    assert (events[-1].response.status, events[-1].response.output[0].status) == ("cancelled", "incomplete")
    assert (await settled(client.responses.retrieve(created.response.id))).status == "cancelled"
    assert (await settled(client.responses.create(input="now", conversation=conversation.id))).output_text == "You said: now"


async def test_models_are_listed_with_the_default_first(client: Any) -> None:
    models = await settled(client.models.list())
    assert [model.id for model in models.data] == ["scripted", "other"]
    assert (await settled(client.models.retrieve("other"))).id == "other"
    with pytest.raises(openai.NotFoundError):
        await settled(client.models.retrieve("gpt-6"))
    messages = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.NotFoundError):
        await settled(client.chat.completions.create(messages=messages, model="gpt-6"))
    with pytest.raises(openai.NotFoundError):
        await settled(client.responses.input_tokens.count(input="hi", model="scripted"))
    with pytest.raises(openai.NotFoundError) as refused:
        await settled(client.responses.create(input="hi", model="gpt-6"))
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
    assert (await settled(client.responses.create(input="hi", model="other"))).output_text == "The other one."


async def test_a_client_that_leaves_cancels_what_is_not_stored_and_nothing_else(gateway: Gateway) -> None:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        stored = await client.responses.create(input="a long story", stream=True)
        created = await anext(aiter(stored))
        assert created.type == "response.created"
        await stored.close()
        while (response := await client.responses.retrieve(created.response.id)).status == "in_progress":
            await asyncio.sleep(0.05)
        assert response.status == "completed"
        unstored = await client.responses.create(input="endless", stream=True, store=False)
        turn_id = (await anext(aiter(unstored))).response.id
        await unstored.close()
        while unstored.response.headers["x-request-id"] not in gateway.log.read_text():  # the end of the exchange
            await asyncio.sleep(0.05)
        root = client.with_options(base_url=gateway.url)
        ended: Any = None
        while ended is None:
            with suppress(openai.NotFoundError):  # of an unstored turn nothing is written before its end is
                ended = await root.post(f"/admin/v1/turns/{turn_id}/cancel", cast_to=object)
        assert ended["reason"] == "client_left"  # before we asked, though its model would have talked for 600 seconds


async def test_an_output_of_before_whose_call_is_gone_is_nothing_that_a_later_request_is_refused_for(client: Any) -> None:
    call = {"type": "function_call", "call_id": "one", "name": "weather", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "one", "output": "rain"}
    hello = {"type": "message", "role": "user", "content": "hello"}
    conversation = await settled(client.conversations.create(items=[hello, call, output]))
    kept = await every(client.conversations.items.list(conversation.id))
    [gone] = [item.id for item in kept if item.type == "function_call"]
    await settled(client.conversations.items.delete(gone, conversation_id=conversation.id))
    assert (await settled(client.responses.create(input="hello", conversation=conversation.id))).status == "completed"
    cut = await settled(client.responses.create(input=[hello, output], truncation="auto"))
    assert (await settled(client.responses.create(input="hello", previous_response_id=cut.id))).status == "completed"


async def test_thoughts_are_a_summary_for_who_asks_for_one_and_the_stream_helper_rebuilds_the_stored_response(
    client: Any,
) -> None:
    conversation = await settled(client.conversations.create())
    asked = {"input": "What is 1234 * 5678?", "model": "scripted", "tools": [CODE], "conversation": conversation.id}
    summary = {"effort": "low", "summary": "auto"}
    events, rebuilt = await helped(client.responses.stream(**asked, reasoning=summary), "get_final_response")
    thought = rebuilt.output[0]
    assert (rebuilt.reasoning.effort, rebuilt.reasoning.summary, thought.type) == ("low", "auto", "reasoning")
    assert (len(thought.summary), thought.content) == (1, [])
    deltas = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    assert "".join(deltas) == thought.summary[0].text != ""
    assert not [event for event in events if event.type.startswith("response.reasoning_text")]
    assert plain(rebuilt) == plain(await settled(client.responses.retrieve(rebuilt.id)))
    kept = await every(client.conversations.items.list(conversation.id))
    assert [[part.text for part in item.content] for item in kept if item.type == "reasoning"] == [[thought.summary[0].text]]
    sent_back = [item.to_dict() for item in rebuilt.output]
    again = await settled(client.responses.create(input=[*sent_back, {"role": "user", "content": "hello"}]))
    assert again.output_text == "You said: hello"
