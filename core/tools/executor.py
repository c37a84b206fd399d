"""From what the model asked to what the model is told: parse, judge, run, report."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from core.errors import InvalidRequest
from core.identity.principals import Principal
from core.llm.contract import ToolChoice, ToolMode, ToolSpec
from core.messages import ListedTool, Offer, ToolCall, ToolResult
from core.tools import kinds
from core.tools.again import refusing
from core.tools.approval import Asking, Demand, Policy, demand
from core.tools.arguments import ToolCallRejected, arguments_of
from core.tools.canonical import digest
from core.tools.catalog import Catalog, Registered, Selection
from core.tools.definition import Effect, ToolVersion
from core.tools.nested import NestedCalls, Path, Record, Refusal, Scope, Written, granting
from core.tools.telling import result_of
from core.tools.work import Call, CallRefused, Work, Workshop
from sandbox import OnOutput

CODE_INTERPRETER = "code_interpreter"
NO_CALLS_WANTED = "not run: the request says tool_choice 'none'; answer without tools"
Durable = Callable[[], Awaitable[None]]
"""Returns when everything recorded of the turn so far is durable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """asking: what the request wants to be asked about. given: digests of what humans have approved, by the request's id.

    possible: the turn may end for it and another one take it up; else a call that needs it is refused.
    """

    asking: Sequence[Asking] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    possible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A call that is valid and allowed, ready to be dispatched; but where there is a `demand`, a human has to allow it first.

    approval: the id of the request by which that was done. effect: of the call with all that its code may call. sent: by a
    process that died before it returned.
    """

    call: ToolCall
    version: ToolVersion
    effect: Effect
    work: Work
    arguments_digest: str
    demand: Demand | None = None
    approval: str | None = None
    sent: bool = False


class Toolset:
    """The tools of one turn: what the model is offered, and the only way to run one of ours.

    builtins: ours that ship. registered: also those that only their code may call. retries: failed calls of one tool after
    which it is refused for the rest of the turn. choice, one_at_a_time: the request's, which a model's server may not have
    heeded.
    """

    def __init__(
        self,
        *,
        builtins: Mapping[str, ToolVersion],
        registered: Sequence[Registered],
        functions: Sequence[ToolSpec],
        workshop: Workshop,
        refusal: Refusal,
        durable: Durable,
        retries: int,
        turn_id: str,
        organization_id: str,
        approvals: Approvals | None = None,
        choice: ToolChoice | None = None,
        one_at_a_time: bool = False,
    ) -> None:
        self.one_at_a_time = one_at_a_time
        offered = [tool for tool in registered if not tool.nested]
        self._ours = {**builtins, **{tool.version.name: tool.version for tool in offered}}
        self._registered = {tool.version.name: tool for tool in offered}
        self.specs = (*(version.spec for version in self._ours.values()), *functions)
        self._calls_wanted = choice is None or choice.mode is not ToolMode.NONE
        self._functions = {function.name for function in functions} if self._calls_wanted else set()
        self._workshop = workshop
        self._refusal = refusal
        self._durable = durable
        self._retries = retries
        self._turn_id = turn_id
        self._organization_id = organization_id
        self._approvals = approvals or Approvals()
        policies = {tool.version.digest: policy for tool in registered if (policy := self._policy(tool))}
        self._policies = {
            tool.version.name: policies[tool.version.digest] for tool in offered if tool.version.digest in policies
        }
        self._nested = Scope(
            turn_id=turn_id,
            organization_id=organization_id,
            tools={tool.version.digest: tool for tool in registered},
            waits=policies.keys(),
            refusal=refusal,
            workshop=workshop,
        )
        self._failures: Counter[str] = Counter()

    def _policy(self, tool: Registered) -> Policy | None:
        """A request is asked about what it asked for; what another tool's code calls is that tool's matter."""
        own = not tool.nested or tool.programmatic
        wanted = own and any(asking.wants(tool.version.name) for asking in self._approvals.asking)
        return tool.version.approval or (Policy() if wanted else None)

    def offer(self, name: str) -> Offer:
        if name in self._functions:
            return Offer.FUNCTION
        if name in self._policies and self._approvals.possible:
            return Offer.APPROVAL
        if name in self._registered:
            return Offer.REGISTRY
        return Offer(name) if name in self._ours else Offer.UNKNOWN

    @property
    def listed(self) -> tuple[ListedTool, ...]:
        """Those of the registry, as clients are told of them."""
        specs = (self._ours[name].spec for name in self._registered)
        return tuple(ListedTool(name=s.name, description=s.description, parameters=s.parameters) for s in specs)

    def digest_of(self, name: str) -> str | None:
        """Of the version that a call of ours runs; None when there is no such tool."""
        version = self._ours.get(name)
        return None if version is None else version.digest

    def prepare(self, call: ToolCall, *, approval: str | None = None) -> Prepared | ToolResult:
        """A result means: refused, and this is what the model is told. approval: the id of a request that was approved."""
        try:
            return self._prepared(call, approval)
        except (ToolCallRejected, CallRefused) as exc:
            self._failures[call.name] += 1
            return ToolResult(call_id=call.id, content=str(exc), failed=True)

    def _prepared(self, call: ToolCall, approval: str | None) -> Prepared:
        if not self._calls_wanted and approval is None:  # what was approved is a call of an earlier request
            raise ToolCallRejected(NO_CALLS_WANTED)
        version = self._ours.get(call.name)
        if version is None:
            names = ", ".join(repr(spec.name) for spec in self.specs) or "none"
            raise ToolCallRejected(f"unknown tool {call.name[:100]!r}; available: {names}")
        failures = self._failures.get(call.name, 0)
        if failures > self._retries:
            raise ToolCallRejected(f"tool {call.name!r} failed {failures} times: do not call it again")
        arguments = arguments_of(version, call.arguments)
        asked = Call(id=f"{self._turn_id}/{call.id}", organization_id=self._organization_id, arguments=arguments)
        work = kinds.load(version.runtime["kind"]).prepare(version, asked)
        waits = self._demand(version, arguments, approval)
        return Prepared(
            call=call,
            version=version,
            effect=self._nested.effect_of(version),
            work=work,
            arguments_digest=digest(arguments),
            demand=waits,
            approval=approval,
        )

    def _demand(self, version: ToolVersion, arguments: Mapping[str, Any], approval: str | None) -> Demand | None:
        """None when nobody has to be asked, or was asked about just this."""
        policy = self._policies.get(version.name)
        if policy is None and approval is None:
            return None
        wanted = demand(version.digest, arguments, policy or Policy())
        if approval is not None:
            if self._approvals.given.get(approval) != wanted.digest:
                raise ToolCallRejected("not run: what was approved is another call, version or policy")
            return None
        if not self._approvals.possible:
            message = f"not run: {version.name!r} needs a human's approval, and this request cannot wait for one"
            raise ToolCallRejected(f"{message}; a stored response can")
        return wanted

    async def admit(self, calls: Sequence[Prepared]) -> list[ToolResult | None]:
        """For each, what the model is told where the tool may not be called now. To be asked right before the dispatch."""
        if len(calls) == 1:  # as most are, and a task costs more than what is left to do
            return [await self._admit(calls[0])]
        return await asyncio.gather(*map(self._admit, calls))

    async def _admit(self, prepared: Prepared) -> ToolResult | None:
        call, tool = prepared.call, self._registered.get(prepared.call.name)
        refused = tool and await self._refusal(replace(tool, counted=True) if prepared.sent else tool)
        if not refused:
            return None
        self._failures[call.name] += 1
        return ToolResult(call_id=call.id, content=f"not run: {refused}", failed=True)

    async def durable(self) -> None:
        """Returns when all that was recorded of the turn so far is durable."""
        await self._durable()

    async def run(
        self,
        prepared: Prepared,
        on_output: OnOutput,
        record: Record | None = None,
        written: Mapping[Path, Written] = MappingProxyType({}),
    ) -> ToolResult:
        """Runs it once its dispatch is durable. Never raises for what the guest did: that is an answer, not a fault.

        record: of what its code calls, which may call nothing without one; written: what an earlier run of it called.
        Cancelling kills the guest before it returns.
        """
        await self._durable()
        call_id, version = prepared.call.id, prepared.version
        nested = NestedCalls(self._nested, call_id, record, written) if record else None
        answering = nested.within(version) if nested else refusing
        kind, shipped = version.runtime["kind"], version.name not in self._registered
        with self._workshop.telemetry.tool(version.name, kind=kind, call_id=call_id, shipped=shipped) as tell:
            result = await result_of(
                prepared.work, version, prepared.effect, call_id, self._workshop, on_output=on_output, answering=answering
            )
            tell(result.failed)
        if result.failed:
            self._failures[prepared.call.name] += 1
        if result.failed and nested and nested.dispatched:
            called = ", ".join(map(repr, nested.dispatched))
            result = replace(result, content=f"{result.content}\nbefore it failed, its code had called {called}")
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolExecutor:
    """Makes the toolset of a turn."""

    catalog: Catalog
    workshop: Workshop
    retries: int

    async def toolset(
        self,
        turn_id: str,
        principal: Principal,
        *,
        builtins: Sequence[str] = (),
        registry: Selection | None = None,
        functions: Sequence[ToolSpec] = (),
        choice: ToolChoice | None = None,
        one_at_a_time: bool = False,
        durable: Durable,
        approvals: Approvals | None = None,
        refusal: Refusal | None = None,
    ) -> Toolset:
        """refusal: asked in place of the registry. Raises InvalidRequest for a tool that is not there, a name that two tools
        have, a choice that nothing fits.
        """
        registered = [] if registry is None else await self.catalog.registered(principal, registry)
        shipped = {name: self.catalog.builtin(name) for name in builtins}
        if registry is not None and registry.programmatic:
            shipped |= _calling(shipped, registered)
        tools = Toolset(
            builtins=shipped,
            registered=registered,
            functions=functions,
            workshop=self.workshop,
            refusal=refusal or partial(self.catalog.refusal, principal),
            durable=durable,
            retries=self.retries,
            turn_id=turn_id,
            organization_id=principal.organization_id,
            approvals=approvals,
            choice=choice,
            one_at_a_time=one_at_a_time,
        )
        names = [*builtins, *(tool.version.name for tool in registered if not tool.nested), *(spec.name for spec in functions)]
        _refuse_duplicates(names)
        _refuse_choice(choice or ToolChoice(), names)
        return tools


def _calling(shipped: Mapping[str, ToolVersion], registered: Sequence[Registered]) -> Mapping[str, ToolVersion]:
    """The code interpreter as it is where code may call tools. Raises InvalidRequest where there is none."""
    if CODE_INTERPRETER not in shipped:
        message = f"the caller 'programmatic' is code of the tool {CODE_INTERPRETER!r}, which is not given"
        raise InvalidRequest(message, param="tools", code="invalid_value")
    versions = {tool.version.digest: tool.version for tool in registered}
    for_code = [tool.version for tool in registered if tool.programmatic and tool.version.approval is None]
    return {CODE_INTERPRETER: granting(shipped[CODE_INTERPRETER], for_code, versions)} if for_code else {}


def _refuse_duplicates(names: Sequence[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise InvalidRequest(f"{times} tools are named {name!r}", param="tools", code="duplicate_tool")


def _refuse_choice(choice: ToolChoice, names: Sequence[str]) -> None:
    if choice.mode is not ToolMode.REQUIRED or (names if choice.name is None else choice.name in names):
        return
    given = ", ".join(map(repr, names)) or "none"
    wanted = "a tool" if choice.name is None else f"the tool {choice.name!r}"
    raise InvalidRequest(f"{wanted} is required; given: {given}", param="tool_choice", code="invalid_value")
