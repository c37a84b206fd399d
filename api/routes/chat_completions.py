"""Chat completions: the same turns, unstored unless asked, on the older and leaner wire."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import Response

from api.endpoints import Call, Router, json_response
from api.errors import encode_error
from api.following import events_of, failed, origin_of, play
from api.streaming import EventStream, Frames, until_gone, while_present
from api.wire.chat_request import CreateChatCompletion, first_image, to_turn_request
from api.wire.chat_stream import WIRE, ChatEncoder, turn_id_of
from api.wire.sse import DONE, data_frame
from core.conversations.request import TurnRequest
from core.errors import InvalidRequest, NotFound, PaddockError
from core.events import Recorded, TurnStatus
from core.identity.principals import Scope
from core.storage.records import Turn

router = Router(scope=Scope.CHAT)
_WHOLE = (TurnStatus.COMPLETED, TurnStatus.INCOMPLETE)


@router.add("POST", "/v1/chat/completions", body=CreateChatCompletion, streams=True, errors=(502, 503, 504))
async def create(call: Call[CreateChatCompletion]) -> Response:
    """Answer a chat: whole, or in chunks."""
    request = to_turn_request(call.body, origin=origin_of(call, call.body.model))
    turn = await _start(call, request)
    encoder = ChatEncoder(turn)
    if call.body.stream:
        return await _stream(call, turn, encoder)
    await play(call, turn, encoder.feed)
    return _answer(turn, encoder)


@router.add("GET", "/v1/chat/completions/{id}")
async def retrieve(call: Call) -> Response:
    """Read a stored completion."""
    turn = await _turn(call)
    encoder = ChatEncoder(turn)
    for recorded in await call.platform.turns.events(call.principal, turn.id):
        encoder.feed(recorded)
    return json_response({**encoder.completion(), "metadata": dict(turn.metadata)}, headers=encoder.report.headers())


@router.add("DELETE", "/v1/chat/completions/{id}", errors=(409,))
async def delete(call: Call) -> Response:
    """Delete a stored completion."""
    turn = await _turn(call)
    await call.platform.turns.delete(call.principal, turn.id)
    return json_response({"object": "chat.completion.deleted", "id": call.path("id"), "deleted": True})


async def _start(call: Call[CreateChatCompletion], request: TurnRequest) -> Turn:
    try:
        return await call.platform.turns.start(call.principal, request)
    except InvalidRequest as error:
        if error.code == "unsupported_image":  # named by our items; the caller knows messages
            raise InvalidRequest(error.message, param=first_image(call.body), code=error.code) from error
        raise


def _answer(turn: Turn, encoder: ChatEncoder) -> Response:
    headers = encoder.report.headers()
    assert encoder.ended is not None
    if encoder.ended.status in _WHOLE:
        return json_response(encoder.completion(), headers=headers)
    return failed(encoder.ended, headers=headers, retry=not turn.stored)


async def _stream(call: Call[CreateChatCompletion], turn: Turn, encoder: ChatEncoder) -> Response:
    """As long as nothing was sent, a failure still is an HTTP status: the first chunk is waited for."""
    events = events_of(call, turn)
    first: list[str] = []

    async def begin() -> None:
        nonlocal first
        while not first and encoder.ended is None:
            first = encoder.feed(await anext(events))

    try:
        await while_present(begin(), until_gone(call.request.receive))
    except BaseException:
        await events.aclose()
        raise
    if not first:
        await events.aclose()
        return _answer(turn, encoder)
    frames = _frames(first, events, encoder)
    return EventStream(frames, farewell=_farewell, headers={"x-paddock-turn-id": turn.id})


async def _frames(first: list[str], events: AsyncGenerator[Recorded, None], encoder: ChatEncoder) -> Frames:
    async with aclosing(events):
        yield b"".join(map(data_frame, first))
        async for recorded in events:
            if chunks := encoder.feed(recorded):
                yield b"".join(map(data_frame, chunks))
    end = encoder.ended
    assert end is not None
    if end.status not in _WHOLE:
        raise PaddockError(end.message or f"the turn ended as {end.status.value}", code=end.reason)
    yield DONE


def _farewell(error: PaddockError) -> bytes:
    return data_frame(encode_error(error)) + DONE


async def _turn(call: Call) -> Turn:
    """One that was made through this API."""
    given = call.path("id")
    missing = NotFound(f"no completion {given[:200]!r}", code="completion_not_found")
    try:
        turn = await call.platform.turns.get(call.principal, turn_id_of(given))
    except NotFound as error:
        raise missing from error
    if turn.wire != WIRE:
        raise missing
    return turn
