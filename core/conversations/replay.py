"""A turn run again from its record: its pure tools for real, against what they returned then, and a model if one is named.

Nothing is written to the conversation, the ledger or the journal; the audit log is told.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from core.audit.turns import TurnAudit
from core.conversations.kept import recall
from core.conversations.reply import StreamedReply, as_message
from core.conversations.staging import Scene, Staging
from core.errors import Conflict
from core.events import Recorded, Replied, ToolDispatched, ToolReturned
from core.identity.principals import Principal, Scope
from core.ids import new_id
from core.limits.limiter import Limiter
from core.messages import Reply, ToolCall, ToolCallItem, ToolResult
from core.storage.audit import AuditRecord, Outcome
from core.storage.records import Turn
from core.storage.tool_calls import ToolCallStore
from core.storage.turns import TurnStore
from core.tools.catalog import Registered
from core.tools.definition import Effect
from core.tools.executor import Approvals, ToolExecutor, Toolset
from core.tools.nested import NestedCall
from sandbox import Stream

EFFECTS = "it is not pure: it was not run again"
REFUSED = "it was not run then"
UNENDED = "nobody knows how it ended"
GONE = "its version is not there any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAgain:
    """then, now: what the model is told. now: None where it was not run again, and `why` says for what reason."""

    call: ToolCall
    version_digest: str | None
    then: ToolResult | None
    now: ToolResult | None = None
    why: str | None = None

    @property
    def differs(self) -> bool:
        if self.now is None or self.then is None:
            return False
        return (self.now.content, self.now.failed) != (self.then.content, self.then.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAgain:
    """said: what the other model answers to all that was said and returned before, as it is recorded."""

    number: int
    reply: Reply
    calls: Sequence[CallAgain]
    said: Reply | None = None

    @property
    def differs(self) -> bool:
        return self.said is not None and _gist(self.said) != _gist(self.reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    turn: Turn
    model: str | None
    steps: Sequence[StepAgain]

    @property
    def unverified(self) -> int:
        """Pure calls that could not be run again."""
        return sum(call.why == GONE for step in self.steps for call in step.calls)

    @property
    def differences(self) -> int:
        return sum(step.differs + sum(call.differs for call in step.calls) for step in self.steps)


@dataclass(slots=True)
class _Past:
    """A reply with what its calls came to, by item."""

    replied: Replied
    dispatched: dict[int, ToolDispatched] = field(default_factory=dict)
    returned: dict[int, ToolReturned] = field(default_factory=dict)

    @property
    def calls(self) -> Sequence[tuple[int, ToolCallItem]]:
        numbered = enumerate(self.replied.items, self.replied.first_item)
        return [(n, item) for n, item in numbered if isinstance(item, ToolCallItem)]


class Replay:
    def __init__(
        self, *, turns: TurnStore, staging: Staging, tools: ToolExecutor, limiter: Limiter, store: ToolCallStore
    ) -> None:
        self._turns = turns
        self._staging = staging
        self._tools = tools
        self._limiter = limiter
        self._store = store

    async def run(self, principal: Principal, turn_id: str, *, model: str | None = None) -> Replayed:
        """model: the one to ask instead, at each step; by default none is asked. Cancelling kills the guest.

        Raises NotFound, Conflict while the turn runs, InvalidRequest for a model that is not declared, ModelError.
        """
        principal.require(Scope.ADMIN)
        turn = await self._turns.get(principal.organization_id, turn_id)
        if not turn.status.ended:
            raise Conflict(f"response {turn_id!r} is still running", code="response_running")
        pasts = _pasts(await self._events(turn))
        scene = None if model is None else await self._scene(turn, model)
        await self._store.note(AuditRecord.by(principal, "turn.replay_started", turn_id, details={"model": model}))
        try:
            mine = replace(turn, user_id=principal.user_id, key_id=principal.key_id, model=model or turn.model)
            steps = await self._steps(turn, pasts, scene, mine, TurnAudit(mine, principal.request_id))
        except BaseException:
            await asyncio.shield(self._note_end(principal, turn_id, Outcome.UNKNOWN))
            raise
        replayed = Replayed(turn=turn, model=model, steps=steps)
        outcome = Outcome.FAILURE if replayed.differences or replayed.unverified else Outcome.SUCCESS
        await self._note_end(principal, turn_id, outcome, replayed.differences, replayed.unverified)
        return replayed

    async def _note_end(self, principal: Principal, turn_id: str, outcome: Outcome, *found: int) -> None:
        """found: the differences, and what could not be run again."""
        details = dict(zip(("differences", "unverified"), found or (None, None), strict=True))
        await self._store.note(AuditRecord.by(principal, "turn.replay_ended", turn_id, outcome=outcome, details=details))

    async def _events(self, turn: Turn) -> Sequence[Recorded]:
        found: list[Recorded] = []
        while page := await self._turns.events(turn.organization_id, turn.id, after=found[-1].seq if found else 0):
            found += page
        return found

    async def _scene(self, turn: Turn, model: str) -> Scene:
        """As it was when the turn began, but for the model."""
        kept = await self._turns.request(turn.organization_id, turn.id)
        request, asker = recall(kept, await self._turns.input(turn.organization_id, turn.id))
        request = replace(request, model=model)
        before = await self._staging.before(asker, request, turn_id=turn.id)
        return await self._staging.scene(replace(turn, model=model), asker, request, before, durable=_at_once)

    async def _steps(
        self, turn: Turn, pasts: Sequence[_Past], scene: Scene | None, mine: Turn, audit: TurnAudit
    ) -> Sequence[StepAgain]:
        """mine: the turn as it would be were it that of who replays it, whose limits a model's answers count against."""
        asker = replace(mine, id=new_id("replay"))
        steps, tools = [], await self._toolset(turn)
        for past in pasts:
            said = None if scene is None or past.replied.restated else await self._ask(asker, scene, past.replied.step, audit)
            calls = [await self._call(tools, past, n, item) for n, item in past.calls]
            steps.append(StepAgain(number=past.replied.step, reply=as_message(past.replied), calls=calls, said=said))
            if scene is not None:
                _settle(scene, past)
        return steps

    async def _ask(self, asker: Turn, scene: Scene, step: int, audit: TurnAudit) -> Reply:
        grant = await self._limiter.admit(asker, tokens=scene.demand)
        reply = StreamedReply(asker.id, 0, scene.tools.offer, one_call=scene.tools.one_at_a_time)
        began = time.monotonic()
        try:
            ask = scene.metered(grant)
            async with aclosing(ask.model.stream(ask.request(scene.transcript, scene.budget))) as chunks:
                async for chunk in chunks:
                    for _ in reply.take(chunk):
                        pass
                    if reply.overflows:
                        break
        except BaseException:
            await asyncio.shield(self._store.note(audit.failed(step, scene.budget.untold)))
            raise
        finally:
            grant.end()
        replied = reply.whole(step=step, seconds=time.monotonic() - began)
        await self._store.note(audit.replied(replied))
        return as_message(replied)

    async def _call(self, tools: Toolset, past: _Past, n: int, item: ToolCallItem) -> CallAgain:
        dispatched, returned = past.dispatched.get(n), past.returned.get(n)
        if dispatched is None or returned is None:
            why = REFUSED if dispatched is None else UNENDED
            return CallAgain(call=item.call, version_digest=None, then=None if returned is None else returned.result, why=why)
        again = CallAgain(call=item.call, version_digest=dispatched.version_digest, then=returned.result)
        if dispatched.effect != Effect.PURE:
            return replace(again, why=EFFECTS)
        if tools.digest_of(dispatched.tool) != dispatched.version_digest:
            return replace(again, why=GONE)
        prepared = tools.prepare(item.call)
        now = prepared if isinstance(prepared, ToolResult) else await tools.run(prepared, _unheard, _Unrecorded())
        return replace(again, now=now)

    async def _toolset(self, turn: Turn) -> Toolset:
        """With the versions that the turn was pinned to, whether the registry still offers them or not. What fails in it is
        called on. Raises InvalidRequest for a tool that does not ship any more.
        """
        request, asker = recall(await self._turns.request(turn.organization_id, turn.id), ())
        return await replace(self._tools, retries=sys.maxsize).toolset(
            turn.id,
            asker,
            builtins=request.builtins,
            registry=request.registry,
            functions=request.functions,
            durable=_at_once,
            approvals=Approvals(asking=() if request.registry is None else request.registry.asking),
            refusal=_nobody_refuses,
        )


class _Unrecorded:
    """Calls of code that runs again. They are as pure as it is, and run again too."""

    def count(self) -> bool:
        return True

    async def dispatched(self, call: NestedCall) -> None:
        pass

    def returned(self, call: NestedCall, result: ToolResult, seconds: float) -> None:
        pass


def _pasts(events: Sequence[Recorded]) -> Sequence[_Past]:
    pasts: list[_Past] = []
    for recorded in events:
        match recorded.event:
            case Replied() as replied:
                pasts.append(_Past(replied))
            case ToolDispatched() as dispatched:
                pasts[-1].dispatched[dispatched.item] = dispatched
            case ToolReturned() as returned:
                pasts[-1].returned[returned.item] = returned
            case _:
                pass
    return pasts


def _settle(scene: Scene, past: _Past) -> None:
    """What was said and returned, as the next step reads it."""
    scene.budget.spend(past.replied.usage)
    scene.transcript.add(as_message(past.replied))
    if past.calls:
        scene.budget.take_step([item.call for _, item in past.calls])
    for n in sorted(past.returned):
        scene.transcript.add(past.returned[n].result)


def _gist(reply: Reply) -> tuple[str, Sequence[tuple[str, str]]]:
    """What matters of it: ids differ each time."""
    return reply.text.strip(), [(call.name, _same_text(call.arguments)) for call in reply.tool_calls]


def _same_text(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments


async def _at_once() -> None:
    """Nothing is recorded, so nothing has to be durable."""


async def _nobody_refuses(_tool: Registered) -> None:
    """An administrator runs it again in a sandbox, and it has no effect: permissions are for calls that count."""


def _unheard(_stream: Stream, _data: bytes) -> None:
    """The result has all that was printed."""
