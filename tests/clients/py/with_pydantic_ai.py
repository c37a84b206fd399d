# /// script
# requires-python = ">=3.11"
# dependencies = ["pydantic-ai-slim[openai]==2.68.0"]
# ///
"""Pydantic AI, by the Responses API and by chat completions."""

from typing import Any

from cases import KEY, TURNS, URL, case, raises, run_cases, tools_said
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.capabilities import NativeTool
from pydantic_ai.messages import ModelMessage, NativeToolReturnPart, TextPart, ThinkingPart
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.native_tools import CodeExecutionTool, MCPServerTool
from pydantic_ai.providers.openai import OpenAIProvider

PROVIDER = OpenAIProvider(base_url=URL, api_key=KEY)
APIS = OpenAIResponsesModel, OpenAIChatModel
WITH_IDS = OpenAIResponsesModelSettings(openai_send_reasoning_ids=True)
REGISTRY = MCPServerTool(id="registry", url="paddock:registry")


class Person(BaseModel):
    name: str
    age: int


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def agent(api: Any = OpenAIResponsesModel, model: str = "scripted", **more: Any) -> Agent[None, Any]:
    return Agent(api(model, provider=PROVIDER), **more)


async def remembered(result: Any, api: Any = OpenAIResponsesModel) -> list[str]:
    """What the tools said, as the model is told in the turn that follows."""
    settings = WITH_IDS if api is OpenAIResponsesModel else None
    again = await agent(api, "echo").run("and?", message_history=result.all_messages(), model_settings=settings)
    return tools_said(again.output)


@case
async def a_text_answer_with_its_usage() -> None:
    for api in APIS:
        result = await agent(api).run("hello")
        assert result.output == "You said: hello"
        assert result.response.finish_reason == "stop"
        assert result.usage.requests == 1
        assert min(result.usage.input_tokens, result.usage.output_tokens) > 0


@case
async def a_text_answer_is_streamed() -> None:
    for api in APIS:
        async with agent(api).run_stream("in pieces") as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        assert "".join(pieces) == "This answer comes in pieces."
        assert len(pieces) > 1
        assert result.usage.output_tokens > 0


@case
async def three_turns_whose_history_is_sent_whole() -> None:
    for api in APIS:
        told: list[ModelMessage] = []
        for word, expected in TURNS:
            result = await agent(api, "echo", instructions="be brief").run(word, message_history=told)
            assert result.output == f"be brief{expected}"
            told = result.all_messages()


@case
async def three_turns_that_the_server_remembers() -> None:
    for settings in ({"openai_previous_response_id": "auto"}, {"openai_conversation_id": "auto"}):
        told: list[ModelMessage] = []
        for word, expected in TURNS:
            result = await agent(model="echo").run(word, message_history=told, model_settings=settings)
            assert result.output == expected
            told = result.all_messages()


@case
async def functions_are_called_and_their_results_are_used() -> None:
    for api in APIS:
        for text, requests, expected in (
            ("the weather in both cities", 2, "Both are known; the last is sunny in Rome."),
            ("the weather, one after the other", 3, "The last is sunny in Rome."),
        ):
            helper = agent(api, tools=[weather])
            result = await helper.run(text)
            assert (result.output, result.usage.requests) == (expected, requests)
            assert await remembered(result, api) == ["sunny in Oslo", "sunny in Rome"]
            async with helper.run_stream("the weather, one after the other") as stream:
                assert await stream.get_output() == "The last is sunny in Rome."
            assert await remembered(stream, api) == ["sunny in Oslo", "sunny in Rome"]


@case
async def functions_are_called_in_what_the_server_remembers() -> None:
    for settings in ({"openai_previous_response_id": "auto"}, {"openai_conversation_id": "auto"}):
        helper = agent(tools=[weather], model_settings=settings)
        result = await helper.run("the weather, one after the other")
        assert result.output == "The last is sunny in Rome."
        again = await helper.run("the weather in both cities", message_history=result.all_messages())
        assert again.output == "Both are known; the last is sunny in Rome."


@case
async def an_answer_of_a_given_shape() -> None:
    for api in APIS:
        for shape, text in (
            (NativeOutput(Person), "a person as JSON"),
            (PromptedOutput(Person), "a person as JSON"),
            (ToolOutput(Person), "a person as the final result"),
        ):
            helper = agent(api, output_type=shape)
            assert (await helper.run(text)).output == Person(name="Ann", age=31)
            async with helper.run_stream(text) as stream:
                assert await stream.get_output() == Person(name="Ann", age=31)


@case
async def tools_of_the_registry() -> None:
    helper = agent(tools=[weather], capabilities=[NativeTool(REGISTRY)], model_settings=WITH_IDS)
    result = await helper.run("double twice")
    assert result.output == "It is 8."
    returned = [part.content for part in result.response.parts if isinstance(part, NativeToolReturnPart)]
    assert [content["output"] for content in returned if "output" in content] == ["42", "8"]
    async with helper.run_stream("double and weather") as stream:
        assert await stream.get_output() == "Both are known; the last is sunny in Oslo."


@case
async def what_a_tool_of_the_registry_said_is_known_to_the_server() -> None:
    helper = agent(tools=[weather], capabilities=[NativeTool(REGISTRY)], model_settings=WITH_IDS)
    assert await remembered(await helper.run("double twice")) == ["42", "8"]


@case
async def code_is_run_in_the_sandbox() -> None:
    settings: Any = {"openai_include_code_execution_outputs": True}
    helper = agent(capabilities=[NativeTool(CodeExecutionTool())], model_settings=settings)
    result = await helper.run("What is 1234 * 5678?")
    [returned] = [part.content for part in result.response.parts if isinstance(part, NativeToolReturnPart)]
    assert returned["logs"] == ["7006652"]
    assert result.output.endswith("It is 7006652.")
    async with helper.run_stream("What is 1234 * 5678?") as stream:
        assert (await stream.get_output()).endswith("It is 7006652.")


@case
async def what_code_printed_is_known_to_the_server() -> None:
    helper = agent(capabilities=[NativeTool(CodeExecutionTool())], model_settings=WITH_IDS)
    assert await remembered(await helper.run("What is 1234 * 5678?")) == ["7006652"]


@case
async def reasoning_is_shown_and_counted() -> None:
    settings = OpenAIResponsesModelSettings(openai_reasoning_effort="low", openai_reasoning_summary="auto")
    result = await agent(model_settings=settings).run("think")
    thought, answer = result.response.parts
    assert isinstance(thought, ThinkingPart)
    assert isinstance(answer, TextPart)
    assert (thought.content, answer.content) == ("Hm, let me see.", "Thought.")
    usage = result.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (9, 4, 20)
    assert usage.details["reasoning_tokens"] == 11
    assert await remembered(result) == [""]


@case
async def a_stream_is_left_in_its_midst() -> None:
    for api in APIS:
        async with agent(api).run_stream("endless") as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                assert piece == "one "
                break


@case
async def an_unknown_model_is_a_typed_error() -> None:
    for api in APIS:
        with raises(ModelHTTPError) as caught:
            await agent(api, "nonsense").run("hello")
        assert (caught.exception.status_code, caught.exception.body["code"]) == (404, "model_not_found")


run_cases()
