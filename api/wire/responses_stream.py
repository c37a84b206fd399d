"""Encoder `responses/2`: from a turn's events to the stream events of OpenAI's Responses API, and to the response object.

A pure function of the turn and its events: every replica and every replay gives the same bytes with the same numbers.
`responses/1` stands below it, for turns that were begun with it.
"""

from typing import Any, ClassVar, assert_never

from api.wire.event_writer import EventWriter, Silence
from api.wire.report import Report
from api.wire.response_body import response_body
from api.wire.response_items import (
    COMPLETED,
    INCOMPLETE,
    Place,
    StreamedApprovalRequest,
    StreamedFunctionCall,
    StreamedItem,
    StreamedMessage,
    StreamedOwnCall,
    StreamedReasoning,
    StreamedRefusal,
    StreamedRegistryCall,
    StreamedSummary,
    StreamedToolList,
    StreamedToolListOfNulls,
    streamed,
    whole_text,
)
from api.wire.sse import WireEvent
from core.compact import dump
from core.errors import PaddockError
from core.events import (
    ApprovalRequested,
    CallDelta,
    CallStarted,
    NestedDispatched,
    NestedReturned,
    ReasoningDelta,
    Recorded,
    Replied,
    ReplyCut,
    TextDelta,
    ToolDispatched,
    ToolOutput,
    ToolReturned,
    ToolsListed,
    TurnDeferred,
    TurnEnded,
    TurnQueued,
    TurnStarted,
    TurnStatus,
)
from core.messages import Item, Offer, ToolCall, ToolCallItem
from core.storage.records import Turn

WIRE = "responses/2"

_LAST = {
    TurnStatus.COMPLETED: "response.completed",
    TurnStatus.INCOMPLETE: "response.incomplete",
    TurnStatus.FAILED: "response.failed",
    TurnStatus.CANCELLED: "response.incomplete",  # OpenAI has no event of its own for it; `response.status` says cancelled
}


class ResponsesEncoder:
    """Feed it every event of the turn from the first. outputs, report: show them even if the request did not ask.

    silent: for who wants the response alone; then `feed` gives nothing, and gives it sooner.
    """

    _tool_list: ClassVar[type[StreamedToolList]] = StreamedToolList

    def __init__(
        self, turn: Turn, *, outputs: bool = False, report: bool = False, obfuscate: bool = False, silent: bool = False
    ) -> None:
        self._turn = turn
        self._outputs = outputs or bool(turn.echo.get("outputs"))
        self._summary = bool(turn.echo.get("summary"))  # thoughts are told as one
        self._shows_report = report or bool(turn.echo.get("report"))
        self._writer = Silence() if silent else EventWriter(obfuscate=obfuscate or bool(turn.echo.get("obfuscate")))
        self._items: dict[int, StreamedItem] = {}
        self._open: StreamedItem | None = None  # the one that deltas go to
        self._functions: list[StreamedFunctionCall] = []  # calls of the last reply
        self._unsettled: dict[int, ToolCallItem] = {}  # calls of it that a human may have to approve
        self._created = False
        self._ended: TurnEnded | None = None
        self.report = Report(turn)

    def feed(self, recorded: Recorded) -> list[WireEvent]:
        match recorded.event:
            case TextDelta() | ReasoningDelta() as event:
                self._text(event)
            case CallDelta(item=ordinal, arguments=arguments):
                if item := self._items.get(ordinal):
                    item.add(arguments)
            case CallStarted() as event:
                self._start_call(event)
            case Replied() as event:
                self._take_reply(event)
            case ToolsListed(item=ordinal, tools=tools):
                self._start(ordinal, self._tool_list(self._place(ordinal), tools)).close(COMPLETED)
            case ReplyCut(first_item=first):
                self._cut(first)
            case ToolDispatched(item=ordinal):
                self.report.add_dispatch()
                self._dispatch(ordinal)
            case ApprovalRequested(item=ordinal):
                if call := self._unsettled.pop(ordinal, None):
                    self._start(ordinal, StreamedApprovalRequest(self._place(ordinal), call.call)).close(COMPLETED)
            case ToolReturned() as event:
                self._return(event)
            case ToolOutput() | NestedDispatched() | NestedReturned() | TurnDeferred():
                pass  # OpenAI's wire has no event for them: the item shows it when the call has returned, and the status
            case TurnQueued():
                waiting = self.waiting()
                self._writer.emit("response.created", response=waiting)
                self._writer.emit("response.queued", response=waiting)
                self._created = True
            case TurnStarted():
                beginning = self._with_report(response_body(self._turn, status=TurnStatus.RUNNING))
                if not self._created:
                    self._writer.emit("response.created", response=beginning)
                self._writer.emit("response.in_progress", response=beginning)
            case TurnEnded() as event:
                self._end(event)
            case _:
                assert_never(recorded.event)
        return self._writer.take()

    def failure(self, error: PaddockError, *, after: int) -> WireEvent:
        """The last event of a connection that cannot go on, though the turn may: it belongs to no turn.

        after: the number of the last event that its reader has, -1 of none. It is this one's too: a number of its own would be
        that of an event of the turn, which a reader who resumes after it would never see.
        """
        told = {"code": error.code, "message": error.message, "param": error.param}
        return WireEvent(after, "error", dump({"type": "error", "sequence_number": after, **told}))

    def waiting(self) -> dict[str, Any]:
        """The response object of a turn that was queued, as it is then, whatever became of it."""
        return self._with_report(response_body(self._turn, status=TurnStatus.PENDING))

    def response(self) -> dict[str, Any]:
        """The response object after what was fed. A turn whose end was not recorded is as its row says."""
        end = self._ended
        turn = self._turn
        body = response_body(
            turn,
            status=end.status if end else turn.status,
            output=[item.body() for item in self._items.values()],
            usage=end.usage if end else turn.usage if turn.status.ended else None,
            ended_at=end.at if end else turn.ended_at.timestamp() if turn.ended_at else None,
            reason=end.reason if end else turn.reason,
            message=end.message if end else turn.message,
        )
        return self._with_report(body)

    def _with_report(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "paddock": self.report.body()} if self._shows_report else body

    @property
    def ended(self) -> TurnEnded | None:
        return self._ended

    def _text(self, event: TextDelta | ReasoningDelta) -> None:
        item = self._items.get(event.item)
        if item is None:
            place = self._place(event.item)
            item = self._start(event.item, _of_text(event, summary=self._summary)(place))
        item.add(event.text)

    def _start_call(self, event: CallStarted) -> None:
        call = ToolCall(id=event.call_id, name=event.name, arguments="")
        self._start_like(event.item, ToolCallItem(id="", call=call, offer=event.offer))

    def _start_like(self, ordinal: int, item: Item) -> StreamedItem | None:
        shown = streamed(item, self._place(ordinal), outputs=self._outputs, summary=self._summary)
        return self._start(ordinal, shown) if shown is not None else None

    def _place(self, ordinal: int) -> Place:
        return Place(self._turn.id, ordinal, len(self._items), self._writer)

    def _start(self, ordinal: int, item: StreamedItem) -> StreamedItem:
        """Items do not interleave: the one before is whole now, and the step before is over."""
        self._seal_open()
        self._close_functions()
        self._items[ordinal] = self._open = item
        item.open()
        return item

    def _seal_open(self) -> None:
        if self._open is not None:
            self._open.seal()
            if isinstance(self._open, StreamedMessage | StreamedReasoning):
                self._open.close(COMPLETED)
        self._open = None

    def _close_functions(self) -> None:
        for call in self._functions:
            call.close(COMPLETED)
        self._functions.clear()

    def _take_reply(self, reply: Replied) -> None:
        if not reply.restated:
            self.report.add_step(reply)
        functions: list[StreamedFunctionCall] = []
        for ordinal, item in enumerate(reply.items, reply.first_item):
            if isinstance(item, ToolCallItem) and item.offer is Offer.APPROVAL:
                self._unsettled[ordinal] = item
            shown = self._items.get(ordinal) or self._start_like(ordinal, item)
            if shown is None:
                continue
            shown.seal(whole_text(item))
            complete = getattr(item, "complete", True)
            if isinstance(shown, StreamedMessage | StreamedReasoning) or not complete:
                shown.close(COMPLETED if complete else INCOMPLETE)
            elif isinstance(shown, StreamedFunctionCall):
                functions.append(shown)
        self._open = None
        self._functions = functions

    def _cut(self, first: int) -> None:
        self._open = None
        for ordinal, item in self._items.items():
            if ordinal >= first:
                item.close(INCOMPLETE)

    def _dispatch(self, ordinal: int) -> None:
        item = self._items.get(ordinal)
        if isinstance(item, StreamedOwnCall):
            item.dispatch()

    def _settle(self, ordinal: int) -> StreamedRegistryCall:
        """Nobody is asked about this call: it is shown like any other."""
        call = self._unsettled.pop(ordinal).call
        shown = StreamedRegistryCall(self._place(ordinal), name=call.name)
        self._start(ordinal, shown).seal(call.arguments)
        return shown

    def _return(self, event: ToolReturned) -> None:
        item = self._settle(event.item) if event.item in self._unsettled else self._items.get(event.item)
        if isinstance(item, StreamedOwnCall):
            self.report.add_tool(event.seconds)
            item.give(event.result)

    def _end(self, end: TurnEnded) -> None:
        self._ended = end
        self.report.add_end(end)
        self._close_functions()
        for ordinal in list(self._unsettled):
            self._settle(ordinal)
        self._open = None
        for item in self._items.values():
            item.close(INCOMPLETE)
        self._writer.emit(_LAST[end.status], response=self.response())


class ResponsesEncoder1(ResponsesEncoder):
    """`responses/1`, which writes lists of tools with nulls."""

    _tool_list = StreamedToolListOfNulls


def _of_text(event: TextDelta | ReasoningDelta, *, summary: bool) -> type[StreamedMessage | StreamedReasoning]:
    if isinstance(event, ReasoningDelta):
        return StreamedSummary if summary else StreamedReasoning
    return StreamedRefusal if event.refusal else StreamedMessage
