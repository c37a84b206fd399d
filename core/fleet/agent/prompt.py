"""Writes a conversation the way a model was trained to read it: its own chat template, rendered with suspicion.

A model file is data from strangers, so its template runs sandboxed and for a bounded time. Users are strangers too: what they
write must not become a special token, or a message could open a system turn of its own.
"""

import json
import resource
import signal
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.fleet.protocol import AgentFailure, FailureCode

RENDER_SECONDS = 2.0
RENDER_BYTES = 2**29
"""What rendering may add to the process's memory; templates that are well take a hundredth."""
BREAK = "\ufdd0"
"""A noncharacter of Unicode: stands where a text is cut before it is tokenised."""

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
"""Templates write them between the marks of a special token: `<|user|>`."""
NAMES = frozenset({"role", "content", "tool_calls", "tool_call_id", "id", "type", "function", "name", "arguments"})
SCHEMA_NAMES = frozenset({"description", "parameters", "properties", "required"})
"""Templates look things up by them."""

KEPT_TEXTS, KEPT_CHARACTERS = 4096, 1000
"""How many texts are not looked through again, and how long they may be: each step of a turn has those of the one before."""

REPEATED = 100_000
"""How long a template may make a sequence by multiplying it."""

CHATML = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
"""For a model file without a template."""

TOOLS_INTRODUCTION = """\
You may call functions. Their signatures, as JSON:
<tools>
{tools}
</tools>
To call one, write its name and arguments as JSON between tags:
<tool_call>
{{"name": "...", "arguments": {{...}}}}
</tool_call>"""


class TemplateUnusable(Exception):
    """For the operator: the template does not compile."""


class Composer:
    """The chat template of one model. Must be used in the main thread: a signal ends a template that does not end."""

    def __init__(self, template: str | None, *, special_texts: Sequence[str], bos: str, eos: str) -> None:
        """Raises TemplateUnusable."""
        source = template or CHATML
        self._offers_tools = "tools" in source
        self._special_texts = tuple(special_texts)
        self._by_head: dict[str, list[str]] = defaultdict(list)  # a vocabulary has thousands, and few heads
        for special in special_texts:
            self._by_head[special[:2]].append(special)
        self._guarded_again = lru_cache(KEPT_TEXTS)(self._guarded)
        self._beginnings = {special[:length] for special in special_texts for length in range(1, len(special))}
        self._endings = set(chain.from_iterable(map(_endings, special_texts)))
        self._listed = BREAK.join(special_texts)
        self._longest = max(map(len, special_texts), default=0)
        self._constants = {"bos_token": bos, "eos_token": eos}
        try:
            with _limits():
                self._template = _environment().from_string(source)
        except TemplateError as exc:
            raise TemplateUnusable(f"the chat template does not compile: {exc}") from exc
        except TimeoutError as exc:
            raise TemplateUnusable(f"compiling the chat template takes more than {RENDER_SECONDS:g} s") from exc
        except MemoryError as exc:
            raise TemplateUnusable(f"compiling the chat template takes more than {RENDER_BYTES >> 20} MB") from exc

    def compose(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        *,
        limit: int,
        reasoning_effort: str | None = None,
    ) -> list[str]:
        """The prompt in pieces, none of which holds a special token's text that the template did not write.

        limit: characters. Raises AgentFailure.
        """
        written, length = [], 0
        try:
            with _limits():
                for piece in self._template.generate(self._variables(messages, tools, reasoning_effort)):
                    written.append(piece)
                    length += len(piece)
                    if length > limit:
                        raise AgentFailure(FailureCode.REFUSED, f"the chat template writes more than {limit} characters")
        except AgentFailure:
            raise
        except TimeoutError as exc:
            raise AgentFailure(FailureCode.REFUSED, f"the chat template ran for more than {RENDER_SECONDS:g} s") from exc
        except (
            TemplateError,
            TypeError,
            ValueError,
            LookupError,
            ArithmeticError,
            AttributeError,
            RecursionError,
            MemoryError,
        ) as exc:
            # A template can fail in every way Python can; what it says may quote the conversation, so only its kind is told.
            detail = f": {exc}" if isinstance(exc, TemplateRaised) else f" ({type(exc).__name__})"
            raise AgentFailure(FailureCode.REFUSED, f"the model's chat template refuses this conversation{detail}") from exc
        return "".join(written).split(BREAK)

    def cut(self, text: str) -> list[str]:
        """A text that a stranger wrote, in pieces that hold no special token's text."""
        return self._guarded(text).split(BREAK)

    def _variables(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], reasoning_effort: str | None
    ) -> dict[str, Any]:
        guarded = self._guard(list(messages))
        offered = self._guard(list(tools)) or None
        if not self._offers_tools:
            guarded, offered = _without_tools(guarded, offered), None
        variables = {"messages": guarded, "tools": offered, "add_generation_prompt": True, **self._constants}
        if reasoning_effort is not None:
            variables |= {"reasoning_effort": self._guard(reasoning_effort), "enable_thinking": reasoning_effort != "none"}
        return variables

    def _guard(self, value: Any) -> Any:
        """The same value, every string in it cut so that no special token's text is whole."""
        match value:
            case str():
                return self._guarded_again(value) if len(value) <= KEPT_CHARACTERS else self._guarded(value)
            case list():
                return [self._guard(item) for item in value]
            case dict():
                return {self._guard(key): self._guard(item) for key, item in value.items()}
        return value

    def _guarded(self, text: str) -> str:
        """A special text inside is cut after its first character; so is one that may go on where this string ends.

        One that a template may have begun before this string is cut where the string begins.
        """
        text = text.replace(BREAK, "\ufffd")
        held = [special for head, alike in self._by_head.items() if head in text for special in alike if special in text]
        cuts = {position + 1 for special in held for position in _positions(special, text)}
        for end in {len(text), len(text.rstrip())}:
            cuts |= {start + 1 for start in self._open_ends(text[:end])}
        cuts |= {start for start in (0, len(text) - len(text.lstrip())) if self._goes_on(text[start:])}
        if not cuts:
            return text
        edges = [0, *sorted(cuts), len(text)]
        return BREAK.join(text[start:end] for start, end in pairwise(edges))

    def _open_ends(self, text: str) -> Iterator[int]:
        for length in range(1, min(len(text), self._longest) + 1):
            if text[-length:] in self._beginnings:
                yield len(text) - length

    def _goes_on(self, text: str) -> bool:
        """Whether it begins as a special text ends, or is the middle of one."""
        lengths = range(1, min(len(text), self._longest) + 1)
        if any(text[:length] in self._endings for length in lengths):
            return True
        return any(self._is_middle(whole) for whole in {text, text.rstrip()})

    def _is_middle(self, text: str) -> bool:
        """A word is one only of a special text that has no other: few strings are no part of something like `<|file_name|>`."""
        if not text or text in ROLES | NAMES | SCHEMA_NAMES or text not in self._listed:
            return False
        inside = ((special, start) for special in self._special_texts for start in _positions(text, special) if start > 0)
        around = (special[:start] + special[start + len(text) :] for special, start in inside)
        return any(not (_is_word(text) and any(map(str.isalnum, rest))) for rest in around)


class TemplateRaised(TemplateError):
    """The template called `raise_exception`: its author's words."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Its arithmetic makes nothing huge. What is intercepted is not computed while the template compiles either."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or any(
            isinstance(a, Sequence) and len(a) * b > REPEATED for a, b in ((left, right), (right, left))
        ):
            raise SecurityError(f"{operator!r} would make something huge")
        return super().call_binop(context, operator, left, right)


def _environment() -> ImmutableSandboxedEnvironment:
    """As transformers sets it up, which is what templates are written for."""
    environment = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda format: datetime.now().astimezone().strftime(format)
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateRaised(message)


def _endings(special: str) -> Iterator[str]:
    """What a special text may end with after something else was written; nobody leaves off in the middle of a word."""
    for start in range(1, len(special)):
        if not (special[start - 1].isalnum() and special[start].isalnum()):
            yield special[start:]


def _is_word(text: str) -> bool:
    return text.replace("_", "a").isalnum()


def _positions(needle: str, text: str) -> Iterator[int]:
    position = text.find(needle)
    while position >= 0:
        yield position
        position = text.find(needle, position + 1)


def _without_tools(messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The same conversation for a template that has no words for tools: they are described in the system message."""
    told = [_in_words(message) for message in messages]
    if not tools:
        return told
    introduction = TOOLS_INTRODUCTION.format(tools="\n".join(_to_json(tool) for tool in tools))
    if told and told[0]["role"] == "system":
        return [{"role": "system", "content": f"{told[0]['content']}\n\n{introduction}"}, *told[1:]]
    return [{"role": "system", "content": introduction}, *told]


def _in_words(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content") or ""
    if message["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{content}\n</tool_response>"}
    calls = [_call_in_words(call["function"]) for call in message.get("tool_calls") or ()]
    return {"role": message["role"], "content": "\n".join([*([content] if content else []), *calls])}


def _call_in_words(function: dict[str, Any]) -> str:
    name, arguments = _to_json(function["name"]), _to_json(function["arguments"])
    return f'<tool_call>\n{{"name": {name}, "arguments": {arguments}}}\n</tool_call>'


@contextmanager
def _limits() -> Iterator[None]:
    """Raises TimeoutError, MemoryError."""
    with _memory_limit(RENDER_BYTES), _time_limit(RENDER_SECONDS):
        yield


@contextmanager
def _memory_limit(more: int) -> Iterator[None]:
    """Of the whole process: padding, replacing and doubling make something huge faster than any clock looks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize() + more
    if soft != resource.RLIM_INFINITY:
        most = min(soft, most)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    armed = True

    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        if armed:
            raise TimeoutError

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)  # and again: Jinja takes what folding a constant raises for its own
    try:
        try:
            yield
        finally:
            armed = False  # an alarm that rings from here on would leave the timer on, to ring anywhere
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
