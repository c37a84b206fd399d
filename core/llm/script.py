"""A script: what a scripted model says to whom, as it is written in a file or in the configuration.

    rules:                                  # the first that fits answers; none fits: the request is refused
      - when: {contains: "1234 * 5678"}     # the user spoke last, and said this (`matches`: a regular expression)
        reply:
          reasoning: A job for Python.
          tool_calls:
            - name: code_interpreter
              arguments: {code: "print(1234 * 5678)"}      # a string is sent as it is, so it may be malformed JSON
      - when: {after_tool: code_interpreter}               # this tool's result is last (true: any tool's)
        reply: {text: "It is {last_tool_result}."}
      - when: {contains: flaky}
        times: 2                            # answers only so often, then the rules below are asked
        reply: {error: {status: 503, retry_after: 1}}
      - when: {contains: long story}
        piece_characters: 3
        pace_seconds: 0.05                  # before each piece but the first
        finish: length
        usage: {input: 12, output: 900, cached: 4, reasoning: 2}
        reply:                              # several parts are played one after the other
          - {text: "Once upon a time"}
          - {pause_seconds: 2, text: ", somewhere,"}
          - {disconnect: true}              # or `error: {message: ...}`, in the midst of it
      - when: {contains: forge a letter}
        reply: {refusal: "I cannot help with that."}       # in a field of its own, as OpenAI's models do under a schema
      - reply: "You said: {last_user_text}"

Within a part the order is: pause, reasoning, text, refusal, tool calls, error, disconnect. `{last_user_text}` and
`{last_tool_result}` are filled in wherever text may stand. `when` may hold several conditions, which must all be true;
`tool_results: 2` counts the results since the user last spoke. What is not said about usage is estimated.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError

from core.errors import ConfigurationError
from core.llm.declaration import Schema, Seconds
from core.messages import FinishReason

Count = Annotated[int, Field(ge=0)]


def _not_empty(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("needs at least one entry")
    return values


def _pattern(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return re.compile(value)
        except re.error as exc:
            raise ValueError(f"is not a regular expression: {exc}") from exc
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a rule can see of a request. after_tool: whose result is last; None when none is."""

    last_user_text: str = ""
    last_tool_result: str = ""
    after_tool: str | None = None
    tool_results: int = 0


class When(Schema):
    contains: str | None = None
    matches: Annotated[re.Pattern[str], BeforeValidator(_pattern)] | None = None
    after_tool: str | Literal[True] | None = None
    tool_results: Count | None = None

    def fits(self, situation: Situation) -> bool:
        if not self.model_fields_set:
            return True
        wants_result_last = self.after_tool is not None or bool(self.tool_results)
        return (
            wants_result_last == (situation.after_tool is not None)
            and self.after_tool in (None, True, situation.after_tool)
            and self.tool_results in (None, situation.tool_results)
            and (self.contains is None or self.contains in situation.last_user_text)
            and (self.matches is None or self.matches.search(situation.last_user_text) is not None)
        )


class ScriptedCall(Schema):
    name: str
    arguments: str | Mapping[str, Any] = "{}"
    id: str | None = None


class ScriptedError(Schema):
    """Statuses mean what they mean over HTTP: 400 is a refusal, 429 and 5xx may be asked again."""

    status: Annotated[int, Field(ge=400, le=599)] = 500
    message: str = "scripted error"
    code: str = ""
    retry_after: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Part(Schema):
    pause_seconds: Seconds | None = None
    reasoning: str = ""
    text: str = ""
    refusal: str = ""
    tool_calls: tuple[ScriptedCall, ...] = ()
    error: ScriptedError | None = None
    disconnect: bool = False


def _parts(value: Any) -> Any:
    if isinstance(value, str):
        return [{"text": value}]
    return [value] if isinstance(value, Mapping) else value


class ScriptedUsage(Schema):
    input: Count | None = None
    output: Count | None = None
    cached: Count = 0
    reasoning: Count = 0


class Rule(Schema):
    when: When = When()
    reply: Annotated[tuple[Part, ...], BeforeValidator(_parts), AfterValidator(_not_empty)]
    times: Annotated[int, Field(gt=0)] | None = None
    piece_characters: Annotated[int, Field(gt=0)] = 16
    pace_seconds: Seconds | None = None
    finish: FinishReason | None = None
    usage: ScriptedUsage = ScriptedUsage()


Rules = Annotated[tuple[Rule, ...], AfterValidator(_not_empty)]


class _File(Schema):
    rules: Rules


def read_rules(path: Path) -> tuple[Rule, ...]:
    """From a YAML or JSON file. Raises ConfigurationError, which names the file and the place in it."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TypeAdapter(_File).validate_python(raw).rules
    except OSError as exc:
        raise ConfigurationError(f"the script {str(path)!r} cannot be read: {exc.strerror}") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"the script {str(path)!r} is not YAML: {exc}") from exc
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc'])) or 'script'}: {error['msg']}" for error in exc.errors())
        raise ConfigurationError(f"the script {str(path)!r} is not valid: {wrong}") from exc
