"""/v1/responses: a turn is run, read again, followed from any event on, deleted."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, NamedTuple

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Listing, Query, answer, authenticated, body_of, listed, platform_of, query_of, unless_left
from api.errors import TurnFailed, error_response
from api.idempotency import begun, may_be_asked_again
from api.origin import origin_of
from api.referring import referred
from api.route import Router
from api.streaming import EventStream, Frames
from api.wire.encoders import is_response, responses_encoder
from api.wire.items import encode_item
from api.wire.responses_request import OUTPUTS, REPORT, CreateResponse, Include, to_turn_request
from api.wire.responses_stream import ResponsesEncoder
from api.wire.sse import frame, last_frame
from core.conversations.manager import TurnManager, stream_removed
from core.conversations.request import TurnRequest
from core.errors import InvalidRequest, NotFound, PaddockError
from core.events import Recorded, TurnStatus
from core.identity.principals import Principal
from core.storage.records import Turn

router = Router("/v1/responses")


class Rest(NamedTuple):
    """Of a stream, what its reader has not seen. after: the number of the last event that he has; -1: of none.

    last: of the last event that is there by now; seq: of the last journal event that is in it.
    """

    frames: bytes
    after: int
    last: int
    seq: int


FROM_THE_BEGINNING = Rest(b"", -1, -1, 0)


class Retrieving(Query):
    """starting_after: the sequence number of the last event that was seen, for a stream; -1: of none. Where a Last-Event-ID is
    larger, that counts.
    """

    include: tuple[Include, ...] = ()
    include_obfuscation: bool = False
    starting_after: Annotated[int, Field(ge=-1)] | None = None
    stream: bool = False


@router.post("", body=CreateResponse)
async def create(request: Request) -> Response:
    """Run a turn: the whole response, or its events as they happen."""
    platform, principal = platform_of(request), await authenticated(request)
    body = await body_of(request, CreateResponse)
    turns = platform.turns

    async def asked() -> TurnRequest:
        known = await referred(request, principal, body.input)
        return to_turn_request(body, origin=origin_of(request, platform, body.model), known=known)

    turn = await begun(request, principal, asked)
    encoder = responses_encoder(turn, silent=not body.stream)
    if body.stream:
        return _stream(turns, principal, turn, encoder, await _rest(turns, principal, turn, encoder, -1))
    if body.background:
        return answer(encoder.waiting(), headers=encoder.report.headers())
    await unless_left(request.receive, _play(turns, principal, turn, encoder))
    return _whole(request, encoder)


@router.get("/{response_id}", query=Retrieving)
async def retrieve(request: Request, response_id: str) -> Response:
    """A stored response, or its events from any point on, live while it runs."""
    turns, principal = platform_of(request).turns, await authenticated(request)
    query = query_of(request, Retrieving)
    after = _starting_after(request, query)
    turn = await _turn(turns, principal, response_id)
    outputs, report = OUTPUTS in query.include, REPORT in query.include
    encoder = responses_encoder(
        turn, outputs=outputs, report=report, obfuscate=query.include_obfuscation, silent=not query.stream
    )
    if query.stream:
        return _stream(turns, principal, turn, encoder, await _rest(turns, principal, turn, encoder, after))
    return await _as_it_stands(turns, principal, turn, encoder)


@router.post("/{response_id}/cancel")
async def cancel(request: Request, response_id: str) -> Response:
    """For background responses, whichever server runs them; one that has ended stays as it is."""
    turns, principal = platform_of(request).turns, await authenticated(request)
    turn = await _turn(turns, principal, response_id)
    if turn.queue is None:
        raise InvalidRequest("Cannot cancel a synchronous response.", code="response_not_background")
    turn = await turns.cancel(principal, turn.id)
    return await _as_it_stands(turns, principal, turn, responses_encoder(turn, silent=True))


@router.delete("/{response_id}")
async def delete(request: Request, response_id: str) -> Response:
    turns, principal = platform_of(request).turns, await authenticated(request)
    turn = await _turn(turns, principal, response_id)
    await turns.delete(principal, turn.id)
    return answer({"id": turn.id, "object": "response", "deleted": True})


@router.get("/{response_id}/input_items", query=Listing)
async def input_items(request: Request, response_id: str) -> Response:
    """What the response was asked with."""
    turns, principal = platform_of(request).turns, await authenticated(request)
    query = query_of(request, Listing)
    turn = await _turn(turns, principal, response_id)
    page = await turns.input_items(principal, turn.id, after=query.after, limit=query.limit, descending=query.order == "desc")
    return listed(page, lambda item: encode_item(item, outputs=OUTPUTS in query.include))


async def _turn(turns: TurnManager, principal: Principal, response_id: str) -> Turn:
    """One that was made through this API."""
    turn = await turns.get(principal, response_id)
    if not is_response(turn):
        raise NotFound(f"no response {response_id!r}", code="response_not_found")
    return turn


async def _as_it_stands(turns: TurnManager, principal: Principal, turn: Turn, encoder: ResponsesEncoder) -> Response:
    for recorded in await turns.events(principal, turn.id):
        encoder.feed(recorded)
    return answer(encoder.response(), headers=encoder.report.headers())


async def _play(turns: TurnManager, principal: Principal, turn: Turn, encoder: ResponsesEncoder) -> None:
    async with aclosing(turns.follow(principal, turn.id, live=False)) as events:
        async for recorded in events:
            encoder.feed(recorded)


def _whole(request: Request, encoder: ResponsesEncoder) -> Response:
    end = encoder.ended
    if end is not None and end.status is not TurnStatus.FAILED:
        return answer(encoder.response(), headers=encoder.report.headers())
    if encoder.report.left_nothing:
        may_be_asked_again(request)
    response = error_response(TurnFailed.of(end))
    response.headers.update(encoder.report.headers())
    return response


async def _rest(turns: TurnManager, principal: Principal, turn: Turn, encoder: ResponsesEncoder, after: int) -> Rest:
    """What is there by now. All is encoded from the first event on, so that numbers and bytes are the same for every reader.

    Raises InvalidRequest for an event that never was (whoever has seen one was sent it from the journal), and NoLongerKept.
    """
    if not turn.followable:
        raise stream_removed(turn.id)
    if after < 0:
        return FROM_THE_BEGINNING
    frames, last, seq = list[bytes](), -1, 0
    for recorded in await turns.events(principal, turn.id):
        if recorded.seq != seq + 1:  # it is being removed
            raise stream_removed(turn.id)
        seq = recorded.seq
        for event in encoder.feed(recorded):
            last = event.number
            if last > after:
                frames.append(frame(event))
    if after > last:
        message = f"response {turn.id!r} has no event {after}; its last one so far is {last}"
        raise InvalidRequest(message, param="starting_after", code="event_not_found")
    return Rest(b"".join(frames), after, last, seq)


def _stream(turns: TurnManager, principal: Principal, turn: Turn, encoder: ResponsesEncoder, rest: Rest) -> EventStream:
    told = Telling(encoder, rest)
    frames = told.frames(turns.follow(principal, turn.id, after=rest.seq))
    return EventStream(frames, farewell=told.farewell, headers={"x-paddock-turn-id": turn.id})


class Telling:
    """A turn's stream for one reader, and how far he was told: from there he resumes, also by what the farewell says."""

    def __init__(self, encoder: ResponsesEncoder, rest: Rest) -> None:
        self._encoder = encoder
        self._rest = rest
        self._last = rest.after

    async def frames(self, follow: AsyncGenerator[Recorded, None]) -> Frames:
        """Each is sent when the next one is asked for."""
        async with aclosing(follow) as recordeds:
            if self._rest.frames:
                yield self._rest.frames
                self._last = self._rest.last
            async for recorded in recordeds:
                if events := self._encoder.feed(recorded):
                    yield b"".join(map(frame, events))
                    self._last = events[-1].number
        if self._encoder.ended is None:
            raise TurnFailed.of(None)

    def farewell(self, error: PaddockError) -> bytes:
        return last_frame(self._encoder.failure(error, after=self._last))


def _starting_after(request: Request, query: Retrieving) -> int:
    """-1 for all. A browser that comes back asks for the address that it asked for first, and says where it was in a header."""
    if not query.stream:
        if query.starting_after is not None:
            raise InvalidRequest("starting_after is for streams", param="starting_after", code="invalid_value")
        return -1
    asked = -1 if query.starting_after is None else query.starting_after
    last = request.headers.get("last-event-id")
    if last is None:
        return asked
    if not (last.isascii() and last.isdigit() and len(last) < 16):
        raise InvalidRequest(f"invalid Last-Event-ID {last[:64]!r}: expected a sequence number", param="last-event-id")
    return max(asked, int(last))
