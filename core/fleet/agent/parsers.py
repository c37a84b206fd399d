"""Finds text, reasoning and tool calls in what a model writes, piece by piece. Knows no token and no grammar.

A family of models is a parser here; today's is Hermes, which Qwen, Hermes and our own demonstration model write:
`<tool_call>{"name": ..., "arguments": {...}}</tool_call>` and, before an answer, `<think>...</think>`.
"""

import json
import re
from collections.abc import Callable, Iterator
from enum import Enum, auto

from core.fleet.protocol import Call, Reasoning, Text

Written = Text | Reasoning | Call


class State(Enum):
    TEXT = auto()
    REASONING = auto()
    CALL = auto()


class Hermes:
    """Feed it everything in order, then `finish`. Pieces of a call's arguments are passed on as they come.

    What is not a proper call is still a call, with what was written as its arguments: whoever runs it tells the model.
    """

    CALL_OPENING, CALL_CLOSING = "<tool_call>", "</tool_call>"
    THINK_OPENING, THINK_CLOSING = "<think>", "</think>"
    TAGS = (CALL_OPENING, CALL_CLOSING, THINK_OPENING, THINK_CLOSING)

    def __init__(self, *, calls: bool, thinking: bool, new_id: Callable[[], str]) -> None:
        """calls: whether calls are expected; else their tags are text. thinking: the prompt ended inside `<think>`."""
        self.state = State.REASONING if thinking else State.TEXT
        self.calls = 0
        self._calls_expected = calls
        self._new_id = new_id
        self._pending = ""
        self._call: _Call | None = None
        self._blank = ""  # line ends that were read and not yet shown: those beside a tag or the end are left out
        self._fresh = True

    @property
    def call_so_far(self) -> str:
        """What was read of the call that is open."""
        return self._call.source if self._call else ""

    def feed(self, text: str) -> Iterator[Written]:
        self._pending += text
        while self._pending:
            before = self.state
            yield from self._advance()
            if self.state is before:
                return

    def finish(self, *, ended: bool) -> Iterator[Written]:
        """Nothing more will come. ended: the model wanted it so; else a call that is open stays a fragment."""
        rest, self._pending = self._pending, ""
        if self._call is not None:
            if ended:
                self.calls += 1
                yield from self._call.close()
        elif self.state is State.REASONING:
            yield from _some(Reasoning, rest)
        else:
            yield from self._text(rest)

    def _advance(self) -> Iterator[Written]:
        """Read what can be read of the present state; come out of it at its closing tag."""
        match self.state:
            case State.CALL:
                assert self._call is not None
                yield from self._call.feed(self._pending)
                self._pending = ""
                if self._call.closed:
                    self._pending = self._call.rest
                    self._call, self.state = None, State.TEXT
                    self.calls += 1
            case State.REASONING:
                yield from _some(Reasoning, self._take((self.THINK_CLOSING,)))
                if self._skip(self.THINK_CLOSING):
                    self.state = State.TEXT
            case State.TEXT:
                tags = (self.THINK_OPENING, *([self.CALL_OPENING] if self._calls_expected else []))
                yield from self._text(self._take(tags))
                if self._skip(self.THINK_OPENING):
                    self.state = State.REASONING
                elif self._calls_expected and self._skip(self.CALL_OPENING):
                    self.state = State.CALL
                    self._call = _Call(self.calls, self._new_id(), self.CALL_CLOSING)

    def _take(self, tags: tuple[str, ...]) -> str:
        """What comes before the first tag, or before what may become one."""
        found = [position for tag in tags if (position := self._pending.find(tag)) >= 0]
        end = min(found) if found else len(self._pending) - held_back(self._pending, tags)
        taken, self._pending = self._pending[:end], self._pending[end:]
        return taken

    def _skip(self, tag: str) -> bool:
        if not self._pending.startswith(tag):
            return False
        self._pending = self._pending.removeprefix(tag)
        self._blank, self._fresh = "", True
        return True

    def _text(self, text: str) -> Iterator[Text]:
        text = self._blank + text
        visible = text.rstrip("\n")
        self._blank = text[len(visible) :]
        if self._fresh:
            visible = visible.lstrip("\n")
        if visible:
            self._fresh = False
            yield Text(text=visible)


HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)')


class _Call:
    """One call: streams the arguments when they come where they should, else waits for the end and does its best."""

    def __init__(self, index: int, call_id: str, closing: str) -> None:
        self.source = ""
        self.closed = False
        self.rest = ""
        self._index = index
        self._id = call_id
        self._closing = closing
        self._sent = 0  # how much of the source was passed on as arguments; 0 until the head was read
        self._seen = 0  # how far the arguments were looked through
        self._depth = 0
        self._in_string = False
        self._ended = False  # the arguments' last bracket was read

    def feed(self, text: str) -> Iterator[Call]:
        self.source += text
        if not self._sent and (head := HEAD.match(self.source)):
            self._sent = self._seen = head.end()
            yield Call(index=self._index, id=self._id, name=_string(head[1]))
        if self._sent and not self._ended:
            yield from self._arguments()
        if not self._sent or self._ended:
            self._look_for_closing()
            if self.closed and not self._sent:
                yield self._whole()

    def close(self) -> Iterator[Call]:
        """The model stopped without the closing tag."""
        if not self._sent:
            yield self._whole()

    def _arguments(self) -> Iterator[Call]:
        """Up to the bracket that ends them; what looks like a tag inside a string of theirs is none."""
        for match in re.finditer(r'\\.|["{}\[\]]', self.source[self._seen :], re.DOTALL):
            char, end = match[0], self._seen + match.end()
            if char == '"':
                self._in_string = not self._in_string
            elif not self._in_string and len(char) == 1:
                self._depth += 1 if char in "{[" else -1
                if self._depth == 0:
                    self._ended = True
                    break
        else:
            end = len(self.source)
            if self.source.endswith("\\"):  # half an escape: look at it again with its other half
                end -= 1
        piece, self._sent, self._seen = self.source[self._sent : end], end, end
        if piece:
            yield Call(index=self._index, arguments=piece)

    def _look_for_closing(self) -> None:
        start = self._seen if self._sent else 0
        position = self.source.find(self._closing, start)
        if position >= 0:
            self.closed = True
            self.rest = self.source[position + len(self._closing) :]
            self.source = self.source[:position]

    def _whole(self) -> Call:
        """A call that is not written as usual: other order of members, arguments as text, or no JSON at all."""
        try:
            value = json.loads(self.source)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            return Call(index=self._index, id=self._id, name="", arguments=self.source.strip())
        arguments = value.get("arguments", value.get("parameters", {}))
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return Call(index=self._index, id=self._id, name=value["name"], arguments=text)


class StopText:
    """Cuts text at the first of some sequences, also where one arrives in pieces."""

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._sequences = tuple(sequence for sequence in sequences if sequence)
        self._held = ""
        self.reached = False

    def feed(self, text: str) -> str:
        """What may be shown now."""
        text = self._held + text
        found = [position for sequence in self._sequences if (position := text.find(sequence)) >= 0]
        if found:
            self.reached, self._held = True, ""
            return text[: min(found)]
        end = len(text) - held_back(text, self._sequences)
        self._held = text[end:]
        return text[:end]

    def flush(self) -> str:
        held, self._held = self._held, ""
        return held


def held_back(text: str, markers: tuple[str, ...]) -> int:
    """The length of the longest end of the text that a marker begins with."""
    longest = max((len(marker) for marker in markers), default=0)
    for length in range(min(len(text), longest - 1), 0, -1):
        if any(marker.startswith(text[-length:]) for marker in markers):
            return length
    return 0


def _some(kind: type[Reasoning], text: str) -> Iterator[Reasoning]:
    if text:
        yield kind(text=text)


def _string(quoted: str) -> str:
    """A JSON string that a model wrote; taken as it stands when it is none."""
    try:
        return str(json.loads(quoted)).encode("utf-8", "replace").decode()
    except ValueError:
        return quoted[1:-1]
