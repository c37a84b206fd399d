"""Responses: a turn is started, read, followed, refused to be cancelled, deleted."""

from contextlib import aclosing

from pydantic import Field
from starlette.responses import Response

from api.endpoints import Call, Query, Router, json_response
from api.following import events_of, failed, origin_of, play
from api.pages import PageQuery, page_body
from api.streaming import EventStream, Frames
from api.wire.items import encode_item
from api.wire.responses_request import OUTPUTS, REPORT, CreateResponse, Include, to_turn_request
from api.wire.responses_stream import WIRE, ResponsesEncoder
from api.wire.sse import frame, last_frame
from core.errors import InvalidRequest, NotFound
from core.events import TurnStatus
from core.identity.principals import Scope
from core.storage.records import Turn

router = Router(scope=Scope.CHAT)


class RetrieveQuery(Query):
    """starting_after: the sequence number of the last event that was seen, for a stream."""

    include: list[Include] = []
    include_obfuscation: bool = False
    starting_after: int | None = Field(None, ge=0)
    stream: bool = False


class InputItemsQuery(PageQuery):
    include: list[Include] = []


@router.add("POST", "/v1/responses", body=CreateResponse, streams=True, errors=(404, 409, 502, 503, 504))
async def create(call: Call[CreateResponse]) -> Response:
    """Run a turn: whole, or as a stream of events."""
    request = to_turn_request(call.body, origin=origin_of(call, call.body.model))
    turn = await call.platform.turns.start(call.principal, request)
    encoder = ResponsesEncoder(turn)
    if call.body.stream:
        return _stream(call, turn, encoder)
    await play(call, turn, encoder.feed)
    headers = encoder.report.headers()
    if encoder.ended is not None and encoder.ended.status is TurnStatus.FAILED:
        return failed(encoder.ended, headers=headers, retry=False)
    return json_response(encoder.response(), headers=headers)


@router.add("GET", "/v1/responses/{id}", query=RetrieveQuery, streams=True)
async def retrieve(call: Call[Query, RetrieveQuery]) -> Response:
    """Read a stored response, or its events from any point on, live if it still runs."""
    query = call.query
    after = _starting_after(call)
    turn = await _turn(call)
    encoder = ResponsesEncoder(
        turn, outputs=OUTPUTS in query.include, report=REPORT in query.include, obfuscate=query.include_obfuscation
    )
    if query.stream:
        return _stream(call, turn, encoder, after=after)
    for recorded in await call.platform.turns.events(call.principal, turn.id):
        encoder.feed(recorded)
    return json_response(encoder.response(), headers=encoder.report.headers())


@router.add("POST", "/v1/responses/{id}/cancel")
async def cancel(call: Call) -> Response:
    """Only background responses can be cancelled this way, and there are none yet."""
    await _turn(call)
    raise InvalidRequest("Cannot cancel a synchronous response.", code="response_not_background")


@router.add("DELETE", "/v1/responses/{id}", errors=(409,))
async def delete(call: Call) -> Response:
    """Delete a response that has ended."""
    turn = await _turn(call)
    await call.platform.turns.delete(call.principal, turn.id)
    return json_response({"id": turn.id, "object": "response", "deleted": True})


@router.add("GET", "/v1/responses/{id}/input_items", query=InputItemsQuery)
async def input_items(call: Call[Query, InputItemsQuery]) -> Response:
    """List what the response was asked with."""
    query = call.query
    turn = await _turn(call)
    page = await call.platform.turns.input_items(
        call.principal, turn.id, after=query.after, limit=query.limit, descending=query.order == "desc"
    )
    return json_response(page_body(page, lambda item: encode_item(item, outputs=OUTPUTS in query.include)))


async def _turn(call: Call) -> Turn:
    """One that was made through this API."""
    turn = await call.platform.turns.get(call.principal, call.path("id"))
    if turn.wire != WIRE:
        raise NotFound(f"no response {turn.id!r}", code="response_not_found")
    return turn


def _starting_after(call: Call[Query, RetrieveQuery]) -> int:
    """-1 for all. A browser that comes back says it in a header."""
    given = call.query.starting_after
    if not call.query.stream:
        if given is not None:
            raise InvalidRequest("starting_after is for streams", param="starting_after", code="invalid_value")
        return -1
    last = call.request.headers.get("last-event-id")
    if given is not None or last is None:
        return -1 if given is None else given
    if not (last.isascii() and last.isdigit() and len(last) < 16):
        raise InvalidRequest(f"invalid Last-Event-ID {last[:64]!r}: expected a sequence number", param="last-event-id")
    return int(last)


def _stream(call: Call, turn: Turn, encoder: ResponsesEncoder, *, after: int = -1) -> Response:
    return EventStream(
        _frames(call, turn, encoder, after),
        farewell=lambda error: last_frame(encoder.failure(error)),
        headers={"x-paddock-turn-id": turn.id},
    )


async def _frames(call: Call, turn: Turn, encoder: ResponsesEncoder, after: int) -> Frames:
    """All events are encoded from the first on, so that numbers and bytes are the same for every reader."""
    async with aclosing(events_of(call, turn)) as events:
        async for recorded in events:
            frames = b"".join([frame(event) for event in encoder.feed(recorded) if event.number > after])
            if frames:
                yield frames
