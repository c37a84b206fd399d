"""Conversations as OpenAI chat messages and as the prompt text of the chat template."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .exercise import Conversation, Round, Turn

TEMPLATE = Path(__file__).parent.parent / "chat_template.jinja"
START, END, NOTHING = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


def chat(conversation: Conversation) -> tuple[list[dict[str, Any]], list[bool]]:
    """The messages, and for each whether the model is to learn to write it."""
    messages: list[dict[str, Any]] = []
    learned: list[bool] = []
    if conversation.system:
        messages.append({"role": "system", "content": conversation.system})
        learned.append(False)
    ids = (f"call_{n}" for n in range(10_000))
    for turn in conversation.turns:
        for message, wanted in turn_messages(turn, ids):
            messages.append(message)
            learned.append(wanted)
    return messages, learned


def turn_messages(turn: Turn, ids: Iterator[str]) -> Iterator[tuple[dict[str, Any], bool]]:
    yield {"role": "user", "content": turn.user}, False
    for step in turn.rounds:
        yield from round_messages(step, ids)
    yield {"role": "assistant", "content": turn.answer}, True


def round_messages(step: Round, ids: Iterator[str]) -> Iterator[tuple[dict[str, Any], bool]]:
    called = [(next(ids), call) for call in step.calls]
    calls = [
        {"id": key, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
        for key, call in called
    ]
    yield {"role": "assistant", "content": None, "tool_calls": calls}, step.learned
    for (key, call), result in zip(called, step.results, strict=True):
        yield {"role": "tool", "tool_call_id": key, "name": call.name, "content": result}, False


@functools.cache
def template() -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(TEMPLATE.read_text())


def rendered(messages: list[dict[str, Any]], tools: tuple[Any, ...], *, open_end: bool = False) -> str:
    return template().render(
        messages=messages, tools=list(tools) or None, add_generation_prompt=open_end, bos_token=NOTHING, eos_token=END
    )
