"""Which encoder a turn's readers get: that of the version in its row, whatever this server gives to new turns.

A version stays as long as turns of it may be there: what changes bytes is a new class under a new name, with golden files of
its own (`tests/unit/golden`). It knows no event.
"""

from collections.abc import Mapping
from typing import TypeVar

from api.wire.chat_answer import ChatAnswer
from api.wire.responses_stream import ResponsesEncoder, ResponsesEncoder1
from core.errors import Unavailable
from core.storage.records import Turn

RESPONSES: Mapping[str, type[ResponsesEncoder]] = {"responses/1": ResponsesEncoder1, "responses/2": ResponsesEncoder}
CHATS: Mapping[str, type[ChatAnswer]] = {"chat/1": ChatAnswer}
Version = TypeVar("Version")


def is_response(turn: Turn) -> bool:
    """It was made through /v1/responses, in whichever version."""
    return turn.wire.startswith("responses/")


def is_chat(turn: Turn) -> bool:
    return turn.wire.startswith("chat/")


def responses_encoder(
    turn: Turn, *, outputs: bool = False, report: bool = False, obfuscate: bool = False, silent: bool = False
) -> ResponsesEncoder:
    """Raises Unavailable."""
    made = _of(RESPONSES, turn)
    return made(turn, outputs=outputs, report=report, obfuscate=obfuscate, silent=silent)


def chat_answer(turn: Turn) -> ChatAnswer:
    """Raises Unavailable."""
    return _of(CHATS, turn)(turn)


def _of(versions: Mapping[str, Version], turn: Turn) -> Version:
    """Another server may know it: while Paddock is upgraded, an old one meets turns of a new one."""
    if (found := versions.get(turn.wire)) is None:
        known = ", ".join(versions)
        message = f"turn {turn.id!r} was written by another version of Paddock, as {turn.wire!r}; this one reads: {known}"
        raise Unavailable(message, code="unknown_wire_version")
    return found
