"""The wires that batches speak: bodies of requests as their routes read them, answers as these routes give them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from api.errors import TurnFailed, error_body, status_of
from api.wire import chat_request, encoders, responses_request
from api.wire.body import parse
from api.wire.input_items import references
from core.batches.wire import Wires
from core.conversations.request import TurnRequest
from core.errors import InvalidRequest, PaddockError
from core.events import Recorded, TurnStatus
from core.storage.records import Turn

GOOD = 200


class _Wire:
    def refusal(self, error: PaddockError) -> tuple[int, Mapping[str, Any]]:
        return status_of(error), error_body(error)


class ResponsesWire(_Wire):
    stores = True

    def read(self, body: str) -> TurnRequest:
        given = parse(responses_request.CreateResponse, body.encode())
        _refuse(given, "stream", "background")
        if references(given.input):
            raise InvalidRequest("item references are not for batches", param="input", code="unsupported_value")
        return responses_request.to_turn_request(given, origin={}, known={})

    def write(self, turn: Turn, events: Sequence[Recorded]) -> tuple[int, Mapping[str, Any]]:
        encoder = encoders.responses_encoder(turn, silent=True)
        for recorded in events:
            encoder.feed(recorded)
        if encoder.ended is None or encoder.ended.status in (TurnStatus.FAILED, TurnStatus.CANCELLED):
            return self.refusal(TurnFailed.of(encoder.ended))
        return GOOD, encoder.response()


class ChatWire(_Wire):
    stores = False

    def read(self, body: str) -> TurnRequest:
        given = parse(chat_request.CreateChatCompletion, body.encode())
        _refuse(given, "stream")
        return chat_request.to_turn_request(given, origin={})

    def write(self, turn: Turn, events: Sequence[Recorded]) -> tuple[int, Mapping[str, Any]]:
        reply = encoders.chat_answer(turn)
        for recorded in events:
            reply.take(recorded)
        return (GOOD, reply.completion()) if reply.is_whole else self.refusal(TurnFailed.of(reply.ended))


WIRES: Wires = {"/v1/responses": ResponsesWire(), "/v1/chat/completions": ChatWire()}


def _refuse(given: BaseModel, *names: str) -> None:
    for name in names:
        if getattr(given, name):
            raise InvalidRequest(f"{name!r} is not for batches", param=name, code="unsupported_parameter")
