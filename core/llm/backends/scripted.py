"""A deterministic model for tests, demonstrations and load: it plays a script (`core/llm/script.py` has the format)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

from pydantic import model_validator

from core.config_section import Neighbour
from core.llm.contract import Chunk, Model, ModelRequest, ModelUnavailable
from core.llm.declaration import ModelDeclaration
from core.llm.failures import provider_error
from core.llm.player import Disconnect, Pause, Player
from core.llm.script import Rules, ScriptedError, Situation, read_rules
from core.llm.tokens import estimate_tokens
from core.messages import Message, Reply, Text, ToolResult, UserMessage


class Declaration(ModelDeclaration):
    """One of: script_file, read at the start, and script, the rules themselves."""

    script_file: Neighbour | None = None
    script: Rules | None = None

    @model_validator(mode="after")
    def _one_script(self) -> Self:
        if (self.script_file is None) == (self.script is None):
            raise ValueError("a scripted model needs either `script_file` or `script`")
        return self


@asynccontextmanager
async def open_model(declaration: Declaration) -> AsyncIterator[Model]:
    """Raises ConfigurationError for a script that cannot be read."""
    rules = declaration.script
    if declaration.script_file is not None:
        rules = await asyncio.to_thread(read_rules, declaration.script_file)
    yield ScriptedModel(declaration, Player(rules or ()))


class ScriptedModel:
    def __init__(self, declaration: ModelDeclaration, player: Player) -> None:
        self._declaration = declaration
        self._player = player

    @property
    def context_tokens(self) -> int | None:
        return self._declaration.context_tokens

    @property
    def accepts_images(self) -> bool:
        return self._declaration.accepts_images

    def count_tokens(self, text: str) -> int:
        return estimate_tokens(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        name = self._declaration.name
        for event in self._player.play(situation_of(request.messages)):
            match event:
                case Pause(seconds=seconds):
                    await asyncio.sleep(seconds)
                case ScriptedError() as error:
                    raise provider_error(name, error.status, error.message, code=error.code, retry_after=error.retry_after)
                case Disconnect():
                    raise ModelUnavailable(f"the provider of model {name!r} hung up", retryable=True)
                case chunk:
                    yield chunk


def situation_of(messages: Sequence[Message]) -> Situation:
    user_text = ""
    results: list[ToolResult] = []
    names: dict[str, str] = {}
    heard = [message for message in messages if not (isinstance(message, UserMessage) and message.answers)]
    for message in heard:
        match message:
            case UserMessage(parts=parts):
                user_text = "".join(part.text for part in parts if isinstance(part, Text))
                results.clear()
            case Reply(tool_calls=calls):
                names.update((call.id, call.name) for call in calls)
            case ToolResult():
                results.append(message)
            case _:
                pass
    last = results[-1] if results and heard[-1] is results[-1] else None
    return Situation(
        last_user_text=user_text,
        last_tool_result=results[-1].content if results else "",
        after_tool=names.get(last.call_id, "") if last else None,
        tool_results=len(results),
    )
