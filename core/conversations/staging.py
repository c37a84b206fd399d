"""What a turn needs before it can play: its model, its tools, what was said before, its budget. Begins nothing."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from core.approvals.approvals import Approvals as HumanApprovals
from core.assistants.assistants import Assistants
from core.conversations.asking import asking
from core.conversations.assisted import assisted
from core.conversations.budget import Budget, TurnLimits
from core.conversations.context import assemble
from core.conversations.history import History
from core.conversations.loop import Ask, Entrance
from core.conversations.recovery import Past
from core.conversations.request import TurnRequest
from core.conversations.restating import restated
from core.errors import InvalidRequest, NotFound, PaddockError
from core.events import ToolsListed, TurnEvent
from core.identity.principals import Principal
from core.limits.limiter import Grant
from core.limits.metering import MeteredModel, demand
from core.llm.contract import Model
from core.llm.router import ModelRouter
from core.llm.taken import estimate
from core.messages import (
    ApprovalResponseItem,
    FunctionOutputItem,
    Image,
    Item,
    ListedTool,
    MessageItem,
    ToolCallItem,
    ToolListItem,
    Transcript,
    Usage,
)
from core.storage.approvals import Decision
from core.storage.records import Turn
from core.tools.approval import Decided
from core.tools.executor import Approvals, ToolExecutor, Toolset


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """news: tools of the registry that the conversation has to be told of. decided: calls that humans have decided on."""

    turn_id: str
    model: Model
    ask: Ask
    tools: Toolset
    transcript: Transcript
    budget: Budget
    news: tuple[ListedTool, ...]
    decided: tuple[Decided, ...]

    @property
    def demand(self) -> int:
        """Tokens of the first model call."""
        return demand(self.ask.request(self.transcript, self.budget), self.model)

    @property
    def opening(self) -> list[TurnEvent]:
        """What follows `TurnStarted`, before any model is asked."""
        listed: list[TurnEvent] = [ToolsListed(item=0, tools=self.news)] if self.news else []
        return [*listed, *restated(self.turn_id, self.decided, first_item=len(listed))]

    @property
    def entrance(self) -> Entrance:
        """Into the loop of a turn that has told no more than that."""
        past = Past(self.transcript, self.budget)
        for event in self.opening:
            past.take(event)
        return past.back(self.tools.digest_of, self.lost).entrance

    def metered(self, grant: Grant) -> Ask:
        return replace(self.ask, model=MeteredModel(self.model, grant, self.budget.called))

    def lost(self, said: str) -> Usage:
        """What a call took that was made where the transcript ends now, and cut off after so much."""
        return estimate(self.ask.request(self.transcript, self.budget), said, self.model)


class Staging:
    def __init__(
        self,
        *,
        models: ModelRouter,
        assistants: Assistants,
        tools: ToolExecutor,
        approvals: HumanApprovals,
        history: History,
        limits: TurnLimits,
    ) -> None:
        self._models = models
        self._assistants = assistants
        self._tools = tools
        self._approvals = approvals
        self._history = history
        self._limits = limits

    async def assisted(self, principal: Principal, request: TurnRequest) -> TurnRequest:
        """With what the assistant says that its model's name may stand for, and with the versions of the registry's tools: they
        are kept with the turn, so that whoever goes on with it offers the same. Raises InvalidRequest.
        """
        request = await assisted(principal, request, self._assistants, self._models)
        if request.registry is None:
            return request
        return replace(request, registry=await self._tools.catalog.pinned(principal, request.registry))

    def model_of(self, request: TurnRequest) -> tuple[str, Model]:
        """Raises NotFound."""
        if request.model is None and not self._models.names:
            raise NotFound("no model is declared on this server", param="model", code="model_not_found")
        name = request.model or self._models.names[0]
        return name, self._models.get(name)

    @property
    def seconds(self) -> float:
        """How long a turn may take."""
        return self._limits.seconds

    async def before(self, principal: Principal, request: TurnRequest, *, turn_id: str | None = None) -> Sequence[Item]:
        """What was said before the request, if its model can read all of it. turn_id: the turn that it began, if it has begun.

        Raises InvalidRequest, NotFound, Conflict.
        """
        name, model = self.model_of(request)
        _refuse_images(request.input, model, name)
        before = await self._history.before(principal.organization_id, request, model, turn_id=turn_id)
        continues = request.conversation_id is not None or request.previous_turn_id is not None
        if continues and not before and not request.input:
            raise InvalidRequest("there is nothing to answer yet", param="input", code="missing_required_parameter")
        if turn_id is None and not request.truncate:  # else the call may be in what is left out
            _refuse_outputs_of_no_call(request.input, before)
        _refuse_images_of_before(before, request, model, name)
        return before

    async def taken_up(
        self, principal: Principal, request: TurnRequest, before: Sequence[Item]
    ) -> tuple[TurnRequest, tuple[Decision, ...]]:
        """With what humans have decided on, where the request says something of that, and what it decides itself.

        Raises Conflict, InvalidRequest, NotFound, PermissionDenied.
        """
        known = [*before, *request.input]
        done = {item.approval for item in known if isinstance(item, ToolCallItem)}  # a client's history has both
        said = [item for item in request.input if isinstance(item, ApprovalResponseItem) and item.request_id not in done]
        if not said:
            return request, ()
        pins = (request.registry and request.registry.pins) or ()
        found = await self._approvals.taken_up(principal, said, known, {pin.digest for pin in pins if not pin.nested})
        return replace(request, continues=found.turn_id, decided=found.decided), found.decisions

    async def came_late(self, principal: Principal, decisions: Sequence[Decision], why: PaddockError) -> None:
        """A turn that would have decided was refused."""
        await self._approvals.came_late(principal, decisions, why)

    async def scene(
        self,
        turn: Turn,
        principal: Principal,
        request: TurnRequest,
        before: Sequence[Item],
        *,
        durable: Callable[[], Awaitable[None]],
        seconds_gone: float = 0.0,
    ) -> Scene:
        """seconds_gone: of the time that the turn may take. Raises InvalidRequest."""
        model = self._models.get(turn.model)
        tools = await self._tools.toolset(
            turn.id,
            principal,
            builtins=request.builtins,
            registry=request.registry,
            functions=request.functions,
            choice=request.tool_choice,
            one_at_a_time=not request.parallel_tool_calls,
            durable=durable,
            approvals=Approvals(
                asking=() if request.registry is None else request.registry.asking,
                given={one.request_id: one.digest for one in request.decided if one.denial is None},
                possible=request.pauses,
            ),
        )
        known = [*before, *request.input]
        limits = replace(self._limits, seconds=max(0.0, self._limits.seconds - seconds_gone))
        return Scene(
            turn_id=turn.id,
            model=model,
            ask=asking(model, request, tools, owner=hashlib.sha256(principal.organization_id.encode()).hexdigest()),
            tools=tools,
            transcript=Transcript(assemble(known, request.instructions)),
            budget=Budget(limits, request.sampling, max_tool_calls=request.max_tool_calls),
            news=() if tools.listed == _told(known) else tools.listed,
            decided=request.decided,
        )


def _told(items: Sequence[Item]) -> tuple[ListedTool, ...]:
    """The tools of the registry that the conversation was last told of."""
    return next((item.tools for item in reversed(items) if isinstance(item, ToolListItem)), ())


def _refuse_outputs_of_no_call(given: Sequence[Item], before: Sequence[Item]) -> None:
    """The model would be told that its call was interrupted."""
    asked = {item.call.id for item in (*before, *given) if isinstance(item, ToolCallItem)}
    for item in given:
        if isinstance(item, FunctionOutputItem) and item.call_id not in asked:
            message = f"no tool call has the call_id {item.call_id!r} of this output; it is the call's `call_id`, not its `id`"
            raise InvalidRequest(message, param="input", code="tool_call_not_found")


def _refuse_images(items: Sequence[Item], model: Model, name: str) -> None:
    if model.accepts_images:
        return
    for n, item in enumerate(items):
        if _has_image(item):
            raise InvalidRequest(f"model {name!r} does not take images", param=f"input[{n}]", code="unsupported_image")


def _refuse_images_of_before(items: Sequence[Item], request: TurnRequest, model: Model, name: str) -> None:
    """A conversation that goes on with another model may hold what that one cannot see."""
    if model.accepts_images:
        return
    if item := next(filter(_has_image, items), None):
        param = "conversation" if request.conversation_id else "previous_response_id"
        message = f"model {name!r} does not take images, and item {item.id!r} of what came before holds one"
        raise InvalidRequest(message, param=param, code="unsupported_image")


def _has_image(item: Item) -> bool:
    if isinstance(item, FunctionOutputItem):
        return bool(item.images)
    return isinstance(item, MessageItem) and any(isinstance(part, Image) for part in item.parts)
