# /// script
# requires-python = ">=3.11"
# dependencies = ["openai-agents==0.24.0"]
# ///
"""OpenAI's Agents SDK, by the Responses API (its own way) and by chat completions."""

import logging
from typing import Any

import openai
from agents import (
    Agent,
    CodeInterpreterTool,
    HostedMCPTool,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIConversationsSession,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)
from cases import KEY, TURNS, URL, case, raises, run_cases, tools_said
from openai.types.shared import Reasoning
from pydantic import BaseModel

logging.getLogger("openai.agents").setLevel(logging.CRITICAL)  # it tells of each error that it raises
set_tracing_disabled(True)
client = openai.AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0)
CODE = CodeInterpreterTool(tool_config={"type": "code_interpreter", "container": {"type": "auto"}})
REGISTRY = HostedMCPTool(tool_config={"type": "mcp", "server_label": "registry", "require_approval": "never"})
WEATHER = ["sunny in Oslo", "sunny in Rome"]
MODELS = OpenAIResponsesModel, OpenAIChatCompletionsModel


class Person(BaseModel):
    name: str
    age: int


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def agent(api: Any = OpenAIResponsesModel, model: str = "scripted", **more: Any) -> Agent:
    return Agent(name="Helper", model=api(model=model, openai_client=client), **more)


def kinds(result: Any) -> list[str]:
    return [item.type for item in result.new_items]


async def streamed(result: Any) -> str:
    """The text of all steps, as it came."""
    return "".join(
        [
            event.data.delta
            async for event in result.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
    )


async def remembered(result: Any, api: Any = OpenAIResponsesModel) -> list[str]:
    """What the tools said, as the model is told in the turn that follows."""
    again = await Runner.run(agent(api, "echo"), [*result.to_input_list(), {"role": "user", "content": "and?"}])
    return tools_said(again.final_output)


@case
async def a_text_answer_with_its_usage() -> None:
    for api in MODELS:
        result = await Runner.run(agent(api, instructions="be brief"), "hello")
        assert result.final_output == "You said: hello"
        usage = result.context_wrapper.usage
        assert usage.requests == 1
        assert min(usage.input_tokens, usage.output_tokens) > 0
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens


@case
async def a_text_answer_is_streamed() -> None:
    for api in MODELS:
        result = Runner.run_streamed(agent(api, model_settings=ModelSettings(include_usage=True)), "in pieces")
        assert await streamed(result) == result.final_output == "This answer comes in pieces."
        assert result.context_wrapper.usage.output_tokens > 0


@case
async def three_turns_whose_history_is_sent_whole() -> None:
    for api in MODELS:
        told: list[Any] = []
        for word, expected in TURNS:
            result = await Runner.run(agent(api, "echo", instructions="be brief"), [*told, {"role": "user", "content": word}])
            assert result.final_output == f"be brief{expected}"
            told = result.to_input_list()


@case
async def three_turns_by_the_previous_response() -> None:
    before = None
    for word, expected in TURNS:
        result = await Runner.run(agent(model="echo"), word, previous_response_id=before)
        assert result.final_output == expected
        before = result.last_response_id


@case
async def three_turns_in_a_conversation_of_the_server() -> None:
    conversation = await client.conversations.create()
    for word, expected in TURNS:
        result = await Runner.run(agent(model="echo"), word, conversation_id=conversation.id)
        assert result.final_output == expected


@case
async def sessions_remember_in_the_client_and_in_the_server() -> None:
    remote = OpenAIConversationsSession(openai_client=client)
    for api, session in (*((api, SQLiteSession("turns")) for api in MODELS), (OpenAIResponsesModel, remote)):
        for word, expected in TURNS:
            result = await Runner.run(agent(api, "echo"), word, session=session)
            assert result.final_output == expected
        assert [item["role"] for item in await session.get_items()] == ["user", "assistant"] * 3
        popped: Any = await session.pop_item()
        assert popped["role"] == "assistant"
        assert len(await session.get_items()) == 5
        await session.clear_session()
        assert await session.get_items() == []


@case
async def functions_are_called_in_parallel_and_their_results_are_used() -> None:
    for api in MODELS:
        result = await Runner.run(agent(api, tools=[weather]), "the weather in both cities")
        assert result.final_output == "Both are known; the last is sunny in Rome."
        assert kinds(result).count("tool_call_item") == kinds(result).count("tool_call_output_item") == 2
        assert result.context_wrapper.usage.requests == 2


@case
async def functions_are_called_in_a_stream_by_a_model_that_reasons_between() -> None:
    for api in MODELS:
        result = Runner.run_streamed(agent(api, tools=[weather]), "the weather, one after the other")
        assert await streamed(result) == result.final_output == "The last is sunny in Rome."
        assert kinds(result).count("reasoning_item") == (3 if api is OpenAIResponsesModel else 0)
        assert kinds(result).count("tool_call_item") == 2
        assert await remembered(result, api) == WEATHER


@case
async def functions_are_called_in_what_the_server_remembers() -> None:
    session = OpenAIConversationsSession(openai_client=client)
    conversation = await client.conversations.create()
    for where in ({"session": session}, {"conversation_id": conversation.id}, {"auto_previous_response_id": True}):
        result = await Runner.run(agent(tools=[weather]), "the weather, one after the other", **where)
        assert result.final_output == "The last is sunny in Rome."
        assert kinds(result).count("tool_call_output_item") == 2
    again = await Runner.run(agent(model="echo"), "and?", session=session)
    assert tools_said(again.final_output) == WEATHER


@case
async def an_answer_of_a_given_shape() -> None:
    for api in MODELS:
        result = await Runner.run(agent(api, output_type=Person), "a person as JSON")
        assert result.final_output == Person(name="Ann", age=31)


@case
async def tools_of_the_registry() -> None:
    result = await Runner.run(agent(tools=[REGISTRY]), "double twice")
    assert result.final_output == "It is 8."
    calls = [item.raw_item for item in result.new_items if item.type == "tool_call_item"]
    assert [(call.type, call.name, call.output) for call in calls] == [
        ("mcp_call", "double", "42"),
        ("mcp_call", "double", "8"),
    ]
    assert await remembered(result) == ["42", "8"]


@case
async def tools_of_the_registry_beside_functions_in_a_stream() -> None:
    result = Runner.run_streamed(agent(tools=[REGISTRY, weather]), "double and weather")
    assert await streamed(result) == result.final_output == "Both are known; the last is sunny in Oslo."


@case
async def a_tool_of_the_registry_that_a_callback_approves_or_refuses() -> None:
    asking = {**REGISTRY.tool_config, "require_approval": "always"}
    for approve in (True, False):
        asked: list[str] = []

        def decide(request: Any, approve: bool = approve, asked: list[str] = asked) -> Any:
            asked.append(request.data.name)
            return {"approve": approve, "reason": "as you like"}

        tool = HostedMCPTool(tool_config=asking, on_approval_request=decide)
        result = await Runner.run(agent(tools=[tool]), "double it")
        assert asked == ["double"]
        assert result.final_output.startswith("It is ")
        assert (result.final_output == "It is 42.") == approve


@case
async def a_tool_of_the_registry_that_somebody_approves_later() -> None:
    tool = HostedMCPTool(tool_config={**REGISTRY.tool_config, "require_approval": "always"})
    asking = await Runner.run(agent(tools=[tool]), "double it")
    [request] = asking.interruptions
    state = asking.to_state()
    state.approve(request)
    result = await Runner.run(agent(tools=[tool]), state)
    assert result.final_output == "It is 42."


@case
async def code_is_run_in_the_sandbox() -> None:
    settings = ModelSettings(response_include=["code_interpreter_call.outputs"])
    result = await Runner.run(agent(tools=[CODE], model_settings=settings), "What is 1234 * 5678?")
    assert result.final_output == "It is 7006652."
    [call] = [item.raw_item for item in result.new_items if item.type == "tool_call_item"]
    assert (call.code, call.outputs[0].logs) == ("print(1234 * 5678)", "7006652")
    assert await remembered(result) == ["7006652"]


@case
async def a_session_in_the_server_remembers_what_its_tools_said() -> None:
    for tool, text, said in ((REGISTRY, "double it", "42"), (CODE, "What is 1234 * 5678?", "7006652")):
        session = OpenAIConversationsSession(openai_client=client)
        result = Runner.run_streamed(agent(tools=[tool]), text, session=session)
        assert await streamed(result) == f"Let me see.It is {said}."
        again = await Runner.run(agent(model="echo"), "and?", session=session)
        assert tools_said(again.final_output) == [said]


@case
async def reasoning_is_shown_and_counted() -> None:
    settings = ModelSettings(reasoning=Reasoning(effort="low", summary="auto"))
    result = await Runner.run(agent(model_settings=settings), "think")
    assert kinds(result) == ["reasoning_item", "message_output_item"]
    assert result.new_items[0].raw_item.summary[0].text == "Hm, let me see."
    usage = result.context_wrapper.usage
    assert (usage.input_tokens, usage.input_tokens_details.cached_tokens) == (9, 4)
    assert (usage.output_tokens, usage.output_tokens_details.reasoning_tokens) == (20, 11)
    assert await remembered(result) == [""]


@case
async def a_stream_is_left_in_its_midst() -> None:
    for api in MODELS:
        result = Runner.run_streamed(agent(api), "endless")
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                assert event.data.delta == "one "
                result.cancel()
        assert result.final_output is None


@case
async def an_unknown_model_is_a_typed_error() -> None:
    for api in MODELS:
        with raises(openai.NotFoundError) as caught:
            await Runner.run(agent(api, "nonsense"), "hello")
        assert caught.exception.code == "model_not_found"


run_cases()
