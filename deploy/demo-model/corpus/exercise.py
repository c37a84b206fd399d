"""What a family makes: one thing to ask, the ways to say it, and what a right answer holds."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .draw import Draw

Slots = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """One question that a line of Python answers.

    The wordings are grammars by grammatical kind: `noun` ("the sum of 2 and 3"), `verb` ("add 2 and 3"), `question` ("how
    many letters are in 'tea'"; also used after "tell me"), `raw` (a whole message).
    """

    family: str
    slots: Slots
    code: str
    noun: Sequence[str] = ()
    verb: Sequence[str] = ()
    question: Sequence[str] = ()
    raw: Sequence[str] = ()
    number: bool = False
    imagined: Callable[[Draw], str] | None = None  # the result, where every run gives another (dice, today's date)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    name: str
    arguments: Mapping[str, Any]  # JSON, whatever the tool's schema says


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One assistant message that calls, and what came back, in order."""

    calls: tuple[Call, ...]
    results: tuple[str, ...]
    learned: bool = True  # False: a mistake shown for its correction, never to be imitated


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    family: str
    user: str
    answer: str
    rounds: tuple[Round, ...] = ()
    expected: tuple[str, ...] = ()  # what a right final answer contains
    last_number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    family: str
    turns: tuple[Turn, ...]
    system: str | None = None
    tools: tuple[Mapping[str, Any], ...] = field(default=())


IT_IS = "It is {out}."
YES, NO = "Yes, it is.", "No, it is not."


def answer_to(out: str) -> str:
    """The one form of every answer that reports what the code printed."""
    match out:
        case "True":
            return YES
        case "False":
            return NO
        case _:
            return IT_IS.replace("{out}", out)


def holds(answer: str, part: str) -> bool:
    """Whether the part stands there by itself, not within a longer number or word; after `42…` decimals may follow."""
    text = part.removesuffix("…")
    start = r"(?<![\w.-])" if text[0].isalnum() else ""
    end = r"(?!\.?\w)" if text == part and text[-1].isalnum() else "" if "." in text else r"(?!\d)"
    return re.search(start + re.escape(text) + end, answer) is not None
