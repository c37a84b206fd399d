"""/v1/chat/completions: the same turns, unstored unless asked, on the older and leaner wire."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import answer, authenticated, body_of, platform_of, unless_left
from api.errors import TurnFailed, error_body, error_response
from api.idempotency import begun, may_be_asked_again
from api.origin import origin_of
from api.route import Router
from api.streaming import EventStream, Frames
from api.wire.chat_answer import ChatAnswer, turn_id_of
from api.wire.chat_messages import first_image
from api.wire.chat_request import CreateChatCompletion, to_turn_request
from api.wire.chat_stream import ChatEncoder
from api.wire.encoders import chat_answer, is_chat
from api.wire.sse import DONE, data_frame
from core.compact import dump
from core.conversations.manager import TurnManager
from core.conversations.request import TurnRequest
from core.errors import InvalidRequest, NotFound, PaddockError
from core.events import Recorded
from core.identity.principals import Principal
from core.storage.records import Turn

Events = AsyncGenerator[Recorded, None]
router = Router("/v1/chat/completions")


@router.post("", body=CreateChatCompletion)
async def create(request: Request) -> Response:
    """Answer a chat: whole, or in chunks."""
    platform, principal = platform_of(request), await authenticated(request)
    body = await body_of(request, CreateChatCompletion)
    turn_request = to_turn_request(body, origin=origin_of(request, platform, body.model))

    async def asked() -> TurnRequest:
        return turn_request

    try:
        turn = await begun(request, principal, asked)
    except InvalidRequest as error:
        if error.code != "unsupported_image":
            raise
        # named by our items; the caller knows messages
        raise InvalidRequest(error.message, param=first_image(body.messages), code=error.code) from error
    events, reply = platform.turns.follow(principal, turn.id, live=bool(body.stream)), chat_answer(turn)
    if body.stream:
        return await _stream(request, events, reply)
    await unless_left(request.receive, _play(events, reply))
    return _whole(request, reply)


@router.get("/{completion_id}")
async def retrieve(request: Request, completion_id: str) -> Response:
    """A stored completion, once it is whole: what a turn has said so far, or had said when it failed, is none."""
    turns, principal = platform_of(request).turns, await authenticated(request)
    turn = await _turn(turns, principal, completion_id)
    reply = chat_answer(turn)
    for recorded in await turns.events(principal, turn.id):
        reply.take(recorded)
    if not reply.is_whole:
        why = "is not finished yet" if reply.ended is None else f"has no answer: {TurnFailed.of(reply.ended).message}"
        raise NotFound(f"completion {completion_id!r} {why}", code="completion_not_found")
    return answer({**reply.completion(), "metadata": dict(turn.metadata)}, headers=reply.report.headers())


@router.delete("/{completion_id}")
async def delete(request: Request, completion_id: str) -> Response:
    turns, principal = platform_of(request).turns, await authenticated(request)
    turn = await _turn(turns, principal, completion_id)
    await turns.delete(principal, turn.id)
    return answer({"object": "chat.completion.deleted", "id": completion_id, "deleted": True})


async def _turn(turns: TurnManager, principal: Principal, completion_id: str) -> Turn:
    """One that was made through this API."""
    missing = NotFound(f"no completion {completion_id[:200]!r}", code="completion_not_found")
    try:
        turn = await turns.get(principal, turn_id_of(completion_id))
    except NotFound as error:
        raise missing from error
    if not is_chat(turn):
        raise missing
    return turn


async def _play(events: Events, reply: ChatAnswer) -> None:
    async with aclosing(events):
        async for recorded in events:
            reply.take(recorded)


def _whole(request: Request, reply: ChatAnswer) -> Response:
    headers = reply.report.headers()
    if reply.is_whole:
        return answer(reply.completion(), headers=headers)
    if reply.report.left_nothing:
        may_be_asked_again(request)
    response = error_response(TurnFailed.of(reply.ended))
    response.headers.update(headers)
    return response


async def _stream(request: Request, events: Events, reply: ChatAnswer) -> Response:
    """As long as nothing was sent, a failure still is an HTTP status: so the first chunk is waited for."""
    encoder, first = ChatEncoder(reply), list[str]()

    async def begin() -> None:
        async for recorded in events:
            first.extend(encoder.feed(recorded))
            if first:
                return

    try:
        await unless_left(request.receive, begin())
    except BaseException:
        await events.aclose()
        raise
    if not first:
        return _whole(request, reply)
    frames = _frames(first, events, encoder, reply)
    return EventStream(frames, farewell=_farewell, headers={"x-paddock-turn-id": reply.turn.id})


async def _frames(first: list[str], events: Events, encoder: ChatEncoder, reply: ChatAnswer) -> Frames:
    async with aclosing(events):
        yield b"".join(map(data_frame, first))
        async for recorded in events:
            if chunks := encoder.feed(recorded):
                yield b"".join(map(data_frame, chunks))
    if not reply.is_whole:
        raise TurnFailed.of(reply.ended)
    yield DONE


def _farewell(error: PaddockError) -> bytes:
    return data_frame(dump(error_body(error))) + DONE
