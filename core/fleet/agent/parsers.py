"""Finds text, reasoning and tool calls in what a model writes, piece by piece. Knows no token and no grammar.

A family of models is a parser here; today's is Hermes, which Qwen, Hermes and our own demonstration model write:
`<tool_call>{"name": ..., "arguments": {...}}</tool_call>` and, before an answer, `<think>...</think>`.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from core.fleet.protocol import Call, Reasoning, Text


@dataclass(frozen=True, slots=True)
class Dropped:
    """Line ends before the answer, which are not shown."""

    text: str


Written = Text | Reasoning | Call | Dropped


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

    def __init__(self, *, calls: bool, thinking: bool, json_answer: bool = False, new_id: Callable[[], str]) -> None:
        """calls: whether calls are expected; else their tags are text. thinking: the prompt ended inside `<think>`.

        json_answer: the text is JSON, and so a tag in it is part of a string.
        """
        self.state = State.REASONING if thinking else State.TEXT
        self.calls = 0
        self._calls_expected = calls
        self._json_answer = json_answer
        self._answering = False  # text was shown that is not blank
        self._new_id = new_id
        self._pending = ""
        self._call: _Call | None = None
        self._blank = ""  # line ends that were read and not yet shown: those beside a tag or the end are left out
        self._fresh = True
        self._beginning = not thinking  # no tag has come yet

    @property
    def call_so_far(self) -> str:
        """What was read of the call that is open."""
        return self._call.source if self._call else ""

    @property
    def held(self) -> str:
        """Line ends that are shown when more text comes; those after a tag belong to it."""
        return "" if self._fresh else self._blank

    def feed(self, text: str) -> Iterator[Written]:
        self._pending += text
        while self._pending:
            before = self.state, self._pending
            yield from self._advance()
            if (self.state, self._pending) == before:
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
                yield from self._text(self._take(self._openings))
                openings = self._openings  # fewer, when the answer began just now
                if self.THINK_OPENING in openings and self._skip(self.THINK_OPENING):
                    self.state = State.REASONING
                elif self.CALL_OPENING in openings and self._skip(self.CALL_OPENING):
                    self.state = State.CALL
                    self._call = _Call(self.calls, self._new_id(), self.CALL_CLOSING)

    @property
    def _openings(self) -> tuple[str, ...]:
        """The tags that may come now: thinking comes before an answer, and nothing in the middle of a JSON value."""
        if self._answering and self._json_answer:
            return ()
        thinking = () if self._answering else (self.THINK_OPENING,)
        return (*thinking, self.CALL_OPENING) if self._calls_expected else thinking

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
        self._blank, self._fresh, self._beginning = "", True, False
        return True

    def _text(self, text: str) -> Iterator[Text | Dropped]:
        if self._beginning and (dropped := text[: len(text) - len(text.lstrip("\n"))]):
            yield Dropped(dropped)
            text = text[len(dropped) :]
        self._beginning = self._beginning and not text
        text = self._blank + text
        visible = text.rstrip("\n")
        self._blank = text[len(visible) :]
        if self._fresh:
            visible = visible.lstrip("\n")
        if visible:
            self._fresh = False
            self._answering = self._answering or not visible.isspace()
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
            rest = self.source[self._seen :]
            backslashes = len(rest) - len(rest.rstrip("\\"))
            end = len(self.source) - backslashes % 2  # half an escape: look at it again with its other half
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
        return Call(index=self._index, id=self._id, name=_whole_characters(value["name"]), arguments=_whole_characters(text))


class StopText:
    """Cuts text at the first of some sequences, also where one arrives in pieces or begins in what is not shown."""

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._sequences = tuple(sequence for sequence in sequences if sequence)
        self._held = ""
        self._hidden = 0  # of what is held, that many characters are not shown
        self.reached = False

    def feed(self, text: str) -> str:
        """What may be shown now."""
        text = self._held + text
        end = self._found(text)
        if end is None:
            end = len(text) - held_back(text, self._sequences)
        shown = text[self._hidden : end]
        self._hidden, self._held = max(0, self._hidden - end), "" if self.reached else text[end:]
        return shown

    def drop(self, text: str) -> None:
        """Text that was written before any that is shown, and is not."""
        self._hidden += len(text)
        self.feed(text)

    def look(self, ahead: str) -> None:
        """Text that was written, and is fed or left out later."""
        end = self._found(self._held + ahead)
        if end is not None:
            self._held = self._held[:end]

    def flush(self) -> str:
        held, hidden, self._held, self._hidden = self._held, self._hidden, "", 0
        return held[hidden:]

    def _found(self, text: str) -> int | None:
        found = [position for sequence in self._sequences if (position := text.find(sequence)) >= 0]
        self.reached = bool(found)
        return min(found, default=None)


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
        return _whole_characters(json.loads(quoted))
    except ValueError:
        return quoted[1:-1]


def _whole_characters(text: str) -> str:
    """JSON can write half of a surrogate pair, which no encoding has: a question mark instead."""
    return text.encode("utf-8", "replace").decode()
