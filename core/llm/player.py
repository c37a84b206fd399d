"""Plays a script: says what happens, and leaves it to others to make it happen. Knows no wire and keeps no time."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from core.llm.contract import CallChunk, Chunk, Finished, ReasoningChunk, TextChunk
from core.llm.script import Part, Rule, ScriptedCall, ScriptedError, Situation
from core.llm.tokens import estimate_tokens
from core.messages import FinishReason, Usage

_BLANK = re.compile(r"\{(last_user_text|last_tool_result)\}")


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Disconnect:
    pass


Event = Chunk | Pause | ScriptedError | Disconnect


class Player:
    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._left = {index: rule.times for index, rule in enumerate(self._rules) if rule.times is not None}
        self._replies = 0

    def play(self, situation: Situation) -> Iterator[Event]:
        """Ends with Finished, an error or a disconnect."""
        self._replies += 1
        rule = self._rule_for(situation)
        if rule is None:
            return iter([ScriptedError(status=400, message="no rule of the script fits the last message")])
        return _perform(rule, situation, f"call_{self._replies}")

    def _rule_for(self, situation: Situation) -> Rule | None:
        for index, rule in enumerate(self._rules):
            if self._left.get(index) != 0 and rule.when.fits(situation):
                if index in self._left:
                    self._left[index] -= 1
                return rule
        return None


def _perform(rule: Rule, situation: Situation, call_prefix: str) -> Iterator[Event]:
    said = ""
    calls = 0
    for part in rule.reply:
        if part.pause_seconds is not None:
            yield Pause(part.pause_seconds)
        for chunk in _chunks(part, rule.piece_characters, situation, call_prefix, calls):
            if said and rule.pace_seconds is not None:
                yield Pause(rule.pace_seconds)
            said += _words(chunk)
            yield chunk
        calls += len(part.tool_calls)
        if part.error is not None:
            yield part.error
            return
        if part.disconnect:
            yield Disconnect()
            return
    yield Finished(
        reason=rule.finish or (FinishReason.TOOL_CALLS if calls else FinishReason.STOP), usage=_usage(rule, situation, said)
    )


def _chunks(part: Part, size: int, situation: Situation, call_prefix: str, first_call: int) -> Iterator[Chunk]:
    for piece in _pieces(_fill(part.reasoning, situation), size):
        yield ReasoningChunk(text=piece)
    for piece in _pieces(_fill(part.text, situation), size):
        yield TextChunk(text=piece)
    for piece in _pieces(_fill(part.refusal, situation), size):
        yield TextChunk(text=piece, refusal=True)
    for index, call in enumerate(part.tool_calls, first_call):
        yield CallChunk(index=index, id=call.id or f"{call_prefix}_{index}", name=call.name)
        for piece in _pieces(_arguments(call, situation), size):
            yield CallChunk(index=index, arguments=piece)


def _pieces(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _arguments(call: ScriptedCall, situation: Situation) -> str:
    if isinstance(call.arguments, str):
        return _fill(call.arguments, situation)
    return json.dumps(_fill_all(call.arguments, situation))


def _fill_all(value: Any, situation: Situation) -> Any:
    match value:
        case str():
            return _fill(value, situation)
        case dict():
            return {key: _fill_all(inner, situation) for key, inner in value.items()}
        case list():
            return [_fill_all(inner, situation) for inner in value]
        case _:
            return value


def _fill(text: str, situation: Situation) -> str:
    return _BLANK.sub(lambda blank: str(getattr(situation, blank[1])), text) if "{last_" in text else text


def _words(chunk: Chunk) -> str:
    match chunk:
        case TextChunk(text=text) | ReasoningChunk(text=text):
            return text
        case CallChunk(name=name, arguments=arguments):
            return name + arguments
        case Finished():
            return ""


def _usage(rule: Rule, situation: Situation, said: str) -> Usage:
    heard = situation.last_user_text + situation.last_tool_result
    return Usage(
        input=estimate_tokens(heard) if rule.usage.input is None else rule.usage.input,
        output=estimate_tokens(said) if rule.usage.output is None else rule.usage.output,
        cached=rule.usage.cached,
        reasoning=rule.usage.reasoning,
    )
