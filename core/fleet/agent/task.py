"""From a request on the wire to one that can run: the prompt in tokens, how to choose, which tools may be called."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.fleet.agent.engine import Engine
from core.fleet.agent.parsers import Hermes
from core.fleet.agent.prompt import Composer
from core.fleet.agent.sampling import Settings
from core.fleet.protocol import AgentFailure, Ask, FailureCode

TEMPERATURE, TOP_P = 0.7, 0.95
"""When neither the request nor the model file says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """prompt: tokens. begun: text at its end that counts as the reply's beginning: a call that the model has to make.

    tools: the ones that may be called, with the schema of their arguments. thinking: the prompt ends inside `<think>`.
    """

    prompt: list[int]
    settings: Settings
    max_output_tokens: int | None
    stop: tuple[str, ...] = ()
    begun: str = ""
    thinking: bool = False
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    single_call: bool = False
    json_answer: bool = False
    json_schema: Mapping[str, Any] | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """pieces: the prompt's text, to be tokenised one by one, `begun` at its end."""

    pieces: list[str]
    begun: str
    thinking: bool


class Preparation:
    """Turns requests into tasks for one engine."""

    def __init__(self, engine: Engine, template: str | None = None) -> None:
        """template: instead of the model file's own. Raises TemplateUnusable."""
        words = engine.vocabulary
        self._engine = engine
        self._temperature = _number(engine.metadata("general.sampling.temp"), TEMPERATURE)
        self._top_p = _number(engine.metadata("general.sampling.top_p"), TOP_P)
        self._composer = Composer(
            template or engine.metadata("tokenizer.chat_template"),
            special_texts=words.special_texts,
            bos=words.bos_text,
            eos=words.eos_text,
        )

    def compose(self, ask: Ask) -> Draft:
        """In the main thread. Raises AgentFailure."""
        offered = _offered(ask)
        tools = ask.tools if offered else []
        self._refuse_if_surely_too_long(sum(map(_characters, ask.messages)) + _json_characters(tools))
        if ask.tool_choice == "required" and not offered:
            raise AgentFailure(FailureCode.REFUSED, f"a tool must be called ({ask.tool_name or 'any'}), and it is not offered")
        pieces = self._composer.compose(
            ask.messages,
            tools,
            limit=self._most_characters,
            reasoning_effort=ask.reasoning_effort,
        )
        begun = self._begun(ask)
        thinking = pieces[-1].rstrip().endswith(Hermes.THINK_OPENING)
        if thinking and begun:  # a call that has to be made comes after it
            pieces, thinking = [*pieces, f"\n{Hermes.THINK_CLOSING}\n\n"], False
        return Draft(pieces=[*pieces, *begun], begun="".join(begun), thinking=thinking)

    def finish(self, ask: Ask, draft: Draft) -> Task:
        """Takes as long as tokenising does; in any thread. Raises AgentFailure when the prompt does not fit."""
        return Task(
            prompt=self._tokenise(draft.pieces),
            begun=draft.begun,
            thinking=draft.thinking,
            settings=self._settings(ask),
            max_output_tokens=ask.max_output_tokens,
            stop=tuple(ask.stop),
            tools=_offered(ask),
            single_call=ask.tool_name is not None or not ask.parallel_tool_calls,
            json_answer=ask.json_answer,
            json_schema=ask.json_schema,
            owner=ask.owner,
        )

    def _tokenise(self, pieces: list[str]) -> list[int]:
        words, context = self._engine.vocabulary, self._engine.context_tokens
        self._refuse_if_surely_too_long(sum(map(len, pieces)))
        prompt = [token for piece in pieces if piece for token in words.tokenise(piece)]
        if words.first is not None and prompt[:1] != [words.first]:
            prompt.insert(0, words.first)
        if not prompt:
            raise AgentFailure(FailureCode.REFUSED, "the chat template makes an empty prompt of this conversation")
        if len(prompt) >= context:
            raise AgentFailure(FailureCode.CONTEXT, f"the prompt has {len(prompt)} tokens; the model's context has {context}")
        return prompt

    @property
    def _most_characters(self) -> int:
        return self._engine.context_tokens * self._engine.vocabulary.longest_piece

    def _refuse_if_surely_too_long(self, characters: int) -> None:
        if characters > self._most_characters:
            least, context = characters // self._engine.vocabulary.longest_piece, self._engine.context_tokens
            raise AgentFailure(
                FailureCode.CONTEXT, f"the prompt has more than {least} tokens; the model's context has {context}"
            )

    def _begun(self, ask: Ask) -> list[str]:
        """How a reply that has to be a call begins, in pieces; written as the templates of the family write it."""
        if ask.tool_choice != "required":
            return []
        if ask.tool_name is None:
            return [f"{Hermes.CALL_OPENING}\n"]
        name = self._composer.cut(json.dumps(ask.tool_name, ensure_ascii=False))
        return [f'{Hermes.CALL_OPENING}\n{{"name": ', *name, ', "arguments": ']

    def _settings(self, ask: Ask) -> Settings:
        return Settings(
            temperature=self._temperature if ask.temperature is None else ask.temperature,
            top_p=self._top_p if ask.top_p is None else ask.top_p,
            presence_penalty=ask.presence_penalty,
            frequency_penalty=ask.frequency_penalty,
            seed=ask.seed,
        )


def _offered(ask: Ask) -> dict[str, Mapping[str, Any]]:
    """The tools that may be called. Raises AgentFailure."""
    if ask.tool_choice == "none":
        return {}
    try:
        tools = {str(tool["function"]["name"]): tool["function"].get("parameters") or {} for tool in ask.tools}
    except (KeyError, TypeError, AttributeError) as exc:
        raise AgentFailure(FailureCode.REFUSED, "a tool has no `function` with a `name`") from exc
    return {name: schema for name, schema in tools.items() if ask.tool_name in (None, name)}


def _characters(message: Mapping[str, Any]) -> int:
    return len(str(message.get("content") or "")) + _json_characters(message.get("tool_calls"))


def _json_characters(value: Any) -> int:
    """Of a value that the prompt has in one notation or another: at least two for each string in it, and the strings' own."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) if value else 0


def _number(text: str | None, otherwise: float) -> float:
    try:
        value = float(text or "")
    except ValueError:
        return otherwise
    return value if 0 <= value <= 100 else otherwise
