"""How each backend is reached in tests: something real that plays a scenario. A new backend adds its line to `PEERS`."""

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.llm.script import Rule
from core.llm.scripted_server import open_server
from tests.doubles.local_agent import running_agent
from tests.doubles.tap import tapped
from tests.doubles.tiny_gguf import write_reciter


class Scenario(StrEnum):
    TEXT = "text"  # says "Hello" and " world"
    CALL = "call"  # calls f with x = 1
    CALLS = "calls"  # calls f with x = 1 and g with y = 2
    ENDLESS = "endless"  # says something, and goes on for long
    DOWN = "down"  # nobody is there


async def at_once() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """entry: the declaration that leads to it. left_alone: returns when no connection is open any more."""

    entry: Mapping[str, Any]
    left_alone: Callable[[], Awaitable[None]] = at_once


Open = Callable[[Scenario, Path], AbstractAsyncContextManager[Peer]]

_CALL_F = {"name": "f", "arguments": {"x": 1}}
_CALL_G = {"name": "g", "arguments": {"y": 2}}
RULES: Mapping[Scenario, Mapping[str, Any]] = {
    Scenario.TEXT: {"reply": [{"text": "Hello"}, {"text": " world"}]},
    Scenario.CALL: {"reply": {"tool_calls": [_CALL_F]}},
    Scenario.CALLS: {"reply": {"tool_calls": [_CALL_F, _CALL_G]}},
    Scenario.ENDLESS: {"reply": "and on " * 1000, "piece_characters": 7, "pace_seconds": 0.05},
    Scenario.DOWN: {"reply": {"error": {"status": 503}}},
}
RECITED: Mapping[Scenario, list[str]] = {
    Scenario.TEXT: ["Hello", " world"],
    Scenario.CALL: [f"<tool_call>\n{json.dumps(_CALL_F)}\n</tool_call>"],
    Scenario.CALLS: [f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in (_CALL_F, _CALL_G)],
    Scenario.ENDLESS: ["on ", "and "],
}


@asynccontextmanager
async def scripted(scenario: Scenario, _directory: Path) -> AsyncIterator[Peer]:
    yield Peer(entry={"script": [RULES[scenario]]})


@asynccontextmanager
async def _over_http(scenario: Scenario, entry: Mapping[str, Any]) -> AsyncIterator[Peer]:
    if scenario is Scenario.DOWN:
        with socket.socket() as silent:  # has a port, and does not listen
            silent.bind(("127.0.0.1", 0))
            yield Peer(entry={**entry, "api_base": f"http://127.0.0.1:{silent.getsockname()[1]}/v1"})
        return
    async with open_server([Rule.model_validate(RULES[scenario])]) as address:
        port = int(address.removesuffix("/v1").rpartition(":")[2])
        async with tapped("127.0.0.1", port) as tap:
            yield Peer(entry={**entry, "api_base": f"http://127.0.0.1:{tap.port}/v1"}, left_alone=tap.left_alone)


def openai(scenario: Scenario, _directory: Path) -> AbstractAsyncContextManager[Peer]:
    return _over_http(scenario, {"model": "any"})


def litellm(scenario: Scenario, _directory: Path) -> AbstractAsyncContextManager[Peer]:
    return _over_http(scenario, {"model": "openai/any", "api_key": "any"})


@asynccontextmanager
async def fleet(scenario: Scenario, directory: Path) -> AsyncIterator[Peer]:
    if scenario is Scenario.DOWN:
        yield Peer(entry={"socket": str(directory / "nobody.sock")})
        return
    endless = scenario is Scenario.ENDLESS
    model = write_reciter(directory / "model.gguf", RECITED[scenario], endless=endless, context=16384)
    with running_agent(model, "--context", "8192") as socket:
        yield Peer(entry={"socket": str(socket)})


PEERS: Mapping[str, Open] = {"fleet": fleet, "litellm": litellm, "openai": openai, "scripted": scripted}
