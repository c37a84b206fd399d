# /// script
# requires-python = ">=3.11"
# dependencies = ["langchain-openai==1.7.3", "langgraph==1.2.22"]
# ///
"""LangChain's ChatOpenAI, by both APIs and both of its output formats, and LangGraph's agent around it."""

from typing import Any

import openai
from cases import KEY, TURNS, URL, case, raises, run_cases, tools_said
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import create_react_agent
from pydantic import BaseModel

CHAT = {"use_responses_api": False}
RESPONSES = {"use_responses_api": True}
RESPONSES_V1 = {"use_responses_api": True, "output_version": "v1"}
CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
REGISTRY = {"type": "mcp", "server_label": "registry", "require_approval": "never"}


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def chat(api: dict[str, Any], model: str = "scripted", **more: Any) -> ChatOpenAI:
    return ChatOpenAI(base_url=URL, api_key=KEY, max_retries=0, model=model, **api, **more)


def joined(chunks: Any) -> Any:
    """A stream's chunks as one message, as LangChain adds them up."""
    first, *others = chunks
    for chunk in others:
        first += chunk
    return first


def remembered(api: dict[str, Any], *told: BaseMessage) -> list[str]:
    """What the tools said, as the model is told in the turn that follows."""
    return tools_said(chat(api, "echo").invoke([*told, HumanMessage("and?")]).text)


@case
def a_text_answer_with_its_usage() -> None:
    for api in (CHAT, RESPONSES, RESPONSES_V1):
        answer = chat(api).invoke("hello")
        assert answer.text == "You said: hello"
        usage = answer.usage_metadata
        assert min(usage["input_tokens"], usage["output_tokens"]) > 0
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


@case
async def a_text_answer_is_streamed() -> None:
    for api in (CHAT, RESPONSES, RESPONSES_V1):
        chunks = list(chat(api, stream_usage=True).stream("in pieces"))
        assert len([chunk for chunk in chunks if chunk.text]) > 1
        answer = joined(chunks)
        assert answer.text == "This answer comes in pieces."
        assert answer.usage_metadata["output_tokens"] > 0
        assert "".join([chunk.text async for chunk in chat(api).astream("in pieces")]) == answer.text


@case
def three_turns_whose_history_is_sent_whole() -> None:
    for api in (CHAT, RESPONSES, RESPONSES_V1):
        told: list[BaseMessage] = []
        for word, expected in TURNS:
            told.append(HumanMessage(word))
            told.append(chat(api, "echo").invoke(told))
            assert told[-1].text == expected


@case
def three_turns_by_the_previous_response() -> None:
    for api in (RESPONSES, RESPONSES_V1):
        told: list[BaseMessage] = []
        for word, expected in TURNS:
            told.append(HumanMessage(word))
            told.append(chat(api, "echo", use_previous_response_id=True).invoke(told))
            assert told[-1].text == expected


@case
def functions_are_called_and_their_results_are_used() -> None:
    turns = (
        ("the weather in both cities", [2, 0], "Both are known; the last is sunny in Rome."),
        ("the weather, one after the other", [1, 1, 0], "The last is sunny in Rome."),
    )
    for api in (CHAT, RESPONSES, RESPONSES_V1, {**RESPONSES, "use_previous_response_id": True}):
        for ask in (lambda model, told: model.invoke(told), lambda model, told: joined(model.stream(told))):
            for text, calls, expected in turns:
                model = chat(api).bind_tools([weather])
                told: list[BaseMessage] = [HumanMessage(text)]
                for count in calls:
                    answer = ask(model, told)
                    assert len(answer.tool_calls) == count
                    told += [answer, *(weather.invoke(call) for call in answer.tool_calls)]
                assert answer.text == expected
                assert remembered(api, *told) == ["sunny in Oslo", "sunny in Rome"]


@case
async def an_agent_of_langgraph_calls_functions_and_remembers() -> None:
    for api in (CHAT, RESPONSES, RESPONSES_V1):
        agent = create_react_agent(chat(api), [weather], checkpointer=InMemorySaver())
        thread: Any = {"configurable": {"thread_id": "1"}}
        done = await agent.ainvoke({"messages": "the weather, one after the other"}, thread)
        assert done["messages"][-1].text == "The last is sunny in Rome."
        done = await agent.ainvoke({"messages": "the weather in both cities"}, thread)
        assert done["messages"][-1].text == "Both are known; the last is sunny in Rome."
        streamed = [piece.text async for piece, _ in agent.astream({"messages": "in pieces"}, thread, stream_mode="messages")]
        assert "".join(streamed) == "This answer comes in pieces."


@case
def an_answer_of_a_given_shape() -> None:
    for api in (CHAT, RESPONSES, RESPONSES_V1):
        for method, text in (
            ("json_schema", "a person as JSON"),
            ("json_mode", "a person as JSON"),
            ("function_calling", "a person by a tool"),
        ):
            shaped = chat(api).with_structured_output(Person, method=method)
            assert shaped.invoke(text) == Person(name="Ann", age=31)
            assert list(shaped.stream(text))[-1] == Person(name="Ann", age=31)


@case
def tools_of_the_registry() -> None:
    for api in (RESPONSES, RESPONSES_V1):
        model = chat(api).bind_tools([REGISTRY])
        for ask in (model.invoke, lambda told, model=model: joined(model.stream(told))):
            told: list[BaseMessage] = [HumanMessage("double twice")]
            answer = ask(told)
            assert answer.text == "It is 8."
            called = [block for block in answer.content_blocks if block.get("name") == "remote_mcp"]
            assert sorted(block["args"]["x"] for block in called) == [4, 21]
            assert remembered(api, *told, answer) == ["42", "8"]


@case
def a_tool_of_the_registry_that_is_approved_or_refused() -> None:
    for api in (RESPONSES, RESPONSES_V1):
        for approve in (True, False):
            model = chat(api).bind_tools([{**REGISTRY, "require_approval": "always"}])
            asking = model.invoke("double it")
            [request] = [block for block in _provider_blocks(asking) if block["type"] == "mcp_approval_request"]
            answer = {"type": "mcp_approval_response", "approve": approve, "approval_request_id": request["id"]}
            done = model.invoke([HumanMessage([answer])], previous_response_id=asking.response_metadata["id"])
            assert done.text.startswith("It is ")
            assert (done.text == "It is 42.") == approve


def _provider_blocks(message: AIMessage) -> list[Any]:
    """OpenAI's own items, which the format v1 wraps."""
    blocks = [block for block in message.content if isinstance(block, dict)]
    return [block["value"] if block["type"] == "non_standard" else block for block in blocks]


@case
def code_is_run_in_the_sandbox() -> None:
    for api in (RESPONSES, RESPONSES_V1):
        model = chat(api, include=["code_interpreter_call.outputs"]).bind_tools([CODE])
        for ask in (model.invoke, lambda told, model=model: joined(model.stream(told))):
            told: list[BaseMessage] = [HumanMessage("What is 1234 * 5678?")]
            answer = ask(told)
            assert answer.text.endswith("It is 7006652.")
            [call] = [block for block in answer.content_blocks if block["type"] == "server_tool_call"]
            assert (call["name"], call["args"]["code"]) == ("code_interpreter", "print(1234 * 5678)")
            assert remembered(api, *told, answer) == ["7006652"]


@case
def reasoning_is_shown_and_counted() -> None:
    for api in (RESPONSES, RESPONSES_V1):
        model = chat(api, reasoning={"effort": "low", "summary": "auto"})
        for ask in (model.invoke, lambda told, model=model: joined(model.stream(told))):
            told: list[BaseMessage] = [HumanMessage("think")]
            answer = ask(told)
            assert [(block["type"], block.get("reasoning")) for block in answer.content_blocks] == [
                ("reasoning", "Hm, let me see."),
                ("text", None),
            ]
            usage = answer.usage_metadata
            assert (usage["input_tokens"], usage["input_token_details"]["cache_read"]) == (9, 4)
            assert (usage["output_tokens"], usage["output_token_details"]["reasoning"]) == (20, 11)
            assert remembered(api, *told, answer) == [""]


@case
async def a_stream_is_left_in_its_midst() -> None:
    for api in (CHAT, RESPONSES, RESPONSES_V1):
        for piece in chat(api).stream("endless"):
            if piece.text:
                assert piece.text == "one "
                break
        stream = chat(api).astream("endless")
        async for piece in stream:
            if piece.text:
                assert piece.text == "one "
                break
        await stream.aclose()


@case
def an_unknown_model_is_a_typed_error() -> None:
    for api in (CHAT, RESPONSES, RESPONSES_V1):
        with raises(openai.NotFoundError) as caught:
            chat(api, "nonsense").invoke("hello")
        assert caught.exception.code == "model_not_found"


run_cases()
