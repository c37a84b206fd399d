"""From what the model asked to what the model is told: parse, judge, run, report."""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic_core import from_json

from core.errors import InvalidRequest
from core.identity.principals import Principal
from core.llm.contract import ToolChoice, ToolMode, ToolSpec
from core.messages import ListedTool, Offer, ToolCall, ToolResult
from core.tools import again, kinds
from core.tools.approval import Asking, Demand, Policy, demand
from core.tools.canonical import digest, digest_of
from core.tools.catalog import Catalog, Registered, Selection
from core.tools.definition import ToolVersion
from core.tools.work import PARSED_BYTES, Call, CallRefused, Work, Workshop
from sandbox import OnOutput, SandboxError

TOLD_CHARACTERS = 20_000
"""How much of a result a model is told; the journal's stream of the output has its own, larger, cap."""

ARGUMENTS_CHARACTERS = 1_000_000

Durable = Callable[[], Awaitable[None]]
"""Returns when everything recorded of the turn so far is durable."""

Refusal = Callable[[str], Awaitable[str | None]]
"""Given the id of a tool of the registry: why it may not be called now, or None; then the call is counted."""


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

    approval: the id of the request by which that was done.
    """

    call: ToolCall
    version: ToolVersion
    work: Work
    arguments_digest: str
    demand: Demand | None = None
    approval: str | None = None


class ToolCallRejected(Exception):
    """The call cannot run as asked; the message is written for the model."""


class Toolset:
    """The tools of one turn: what the model is offered, and the only way to run one of ours.

    builtins: ours that ship. retries: failed calls of one tool after which it is refused for the rest of the turn.
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
    ) -> None:
        self._ours = {**builtins, **{tool.version.name: tool.version for tool in registered}}
        self._ids = {tool.version.name: tool.tool_id for tool in registered}
        self.specs = (*(version.spec for version in self._ours.values()), *functions)
        self._functions = {function.name for function in functions}
        self._workshop = workshop
        self._refusal = refusal
        self._durable = durable
        self._retries = retries
        self._turn_id = turn_id
        self._organization_id = organization_id
        self._approvals = approvals or Approvals()
        self._policies = {tool.version.name: policy for tool in registered if (policy := self._policy(tool.version))}
        self._failures: Counter[str] = Counter()

    def _policy(self, version: ToolVersion) -> Policy | None:
        wanted = any(asking.wants(version.name) for asking in self._approvals.asking)
        return version.approval or (Policy() if wanted else None)

    def offer(self, name: str) -> Offer:
        if name in self._functions:
            return Offer.FUNCTION
        if name in self._policies and self._approvals.possible:
            return Offer.APPROVAL
        if name in self._ids:
            return Offer.REGISTRY
        return Offer(name) if name in self._ours else Offer.UNKNOWN

    @property
    def listed(self) -> tuple[ListedTool, ...]:
        """Those of the registry, as clients are told of them."""
        specs = (self._ours[name].spec for name in self._ids)
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
        version = self._ours.get(call.name)
        if version is None:
            names = ", ".join(repr(spec.name) for spec in self.specs) or "none"
            raise ToolCallRejected(f"unknown tool {call.name[:100]!r}; available: {names}")
        if self._failures[call.name] > self._retries:
            raise ToolCallRejected(f"tool {call.name!r} failed {self._failures[call.name]} times: do not call it again")
        arguments = arguments_of(version, call.arguments)
        name = f"{self._turn_id}/{call.id}"  # the id is the model's, and may hold anything: what goes into a header must not
        key = digest_of(name.encode(errors="surrogatepass"))
        asked = Call(id=name, organization_id=self._organization_id, arguments=arguments, idempotency_key=key)
        work = kinds.load(version.runtime["kind"]).prepare(version, asked)
        waits = self._demand(version, arguments, approval)
        return Prepared(
            call=call, version=version, work=work, arguments_digest=digest(arguments), demand=waits, approval=approval
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
            return [await self._admit(calls[0].call)]
        return await asyncio.gather(*(self._admit(prepared.call) for prepared in calls))

    async def _admit(self, call: ToolCall) -> ToolResult | None:
        tool_id = self._ids.get(call.name)
        refused = tool_id and await self._refusal(tool_id)
        if not refused:
            return None
        self._failures[call.name] += 1
        return ToolResult(call_id=call.id, content=f"not run: {refused}", failed=True)

    async def run(self, prepared: Prepared, on_output: OnOutput) -> ToolResult:
        """Runs it once its dispatch is durable. Never raises for what the guest did: that is an answer, not a fault.

        Cancelling kills the guest before it returns.
        """
        await self._durable()
        name, kind, shipped = prepared.version.name, prepared.version.runtime["kind"], prepared.call.name not in self._ids
        with self._workshop.telemetry.tool(name, kind=kind, call_id=prepared.call.id, shipped=shipped) as tell:
            result = await self._result(prepared, on_output)
            tell(result.failed)
        if result.failed:
            self._failures[prepared.call.name] += 1
        return result

    async def _result(self, prepared: Prepared, on_output: OnOutput) -> ToolResult:
        call, version = prepared.call, prepared.version
        try:
            outcome = await again.run(prepared.work, version.effect, self._workshop, on_output)
        except SandboxError as exc:
            printed = _text(exc.stdout, exc.stderr)
            return ToolResult(call_id=call.id, content=_capped(f"{printed}\n{exc}" if printed else str(exc)), failed=True)
        if outcome.result is not None and outcome.exit_code == 0:
            return self._returned(call, version, outcome.result)
        content = _text(outcome.stdout, outcome.stderr)
        if outcome.truncated:
            content += f"\n[output cut at {version.limits.output_bytes} bytes]"
        if outcome.exit_code != 0 and not outcome.stderr:
            content = f"{content}\nexit code {outcome.exit_code}".lstrip()
        if outcome.exit_code == 0 and (mistake := _result_mistake(version, outcome.stdout)):
            return ToolResult(call_id=call.id, content=f"the tool's result does not fit its schema: {mistake}", failed=True)
        return ToolResult(call_id=call.id, content=_capped(content or "(no output)"), failed=outcome.exit_code != 0)

    def _returned(self, call: ToolCall, version: ToolVersion, result: bytes) -> ToolResult:
        if mistake := _result_mistake(version, result):
            return ToolResult(call_id=call.id, content=f"the tool's result does not fit its schema: {mistake}", failed=True)
        return ToolResult(call_id=call.id, content=_capped(result.decode(errors="replace")))


def arguments_of(version: ToolVersion, given: str) -> dict[str, Any]:
    """Of the JSON that a model or a human gave, what the tool takes. Raises ToolCallRejected."""
    arguments = _arguments(given)
    if mistake := version.arguments_schema.mistake(arguments):
        raise ToolCallRejected(f"arguments do not fit the schema of {version.name!r}: {mistake}")
    return arguments


def _arguments(given: str) -> dict[str, Any]:
    if len(given) > ARGUMENTS_CHARACTERS:
        raise ToolCallRejected(f"arguments have {len(given)} characters; at most {ARGUMENTS_CHARACTERS} are taken")
    text = given or "{}"
    try:
        from_json(text, allow_inf_nan=False)  # refuses lone surrogates and what is nested too deep, which `json` does not
        arguments = json.loads(text, object_pairs_hook=_each_once, parse_float=_finite)
    except ValueError as exc:
        raise ToolCallRejected(f"arguments are not JSON: {exc}") from exc
    if not isinstance(arguments, dict):
        raise ToolCallRejected(f"arguments must be a JSON object, not {type(arguments).__name__}")
    return arguments


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name a reader may see the one and the tool get the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the name {Counter(name for name, _ in pairs).most_common(1)[0][0][:100]!r} is given twice")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:100]!r} is out of range")
    return number


def _result_mistake(version: ToolVersion, stdout: bytes) -> str | None:
    if version.result_schema is None:
        return None
    if len(stdout) > PARSED_BYTES:
        return f"it has {len(stdout)} bytes; at most {PARSED_BYTES} are read"
    try:
        return version.result_schema.mistake(json.loads(stdout))
    except (ValueError, RecursionError) as exc:
        return f"not JSON: {exc}"


def _text(stdout: bytes, stderr: bytes) -> str:
    """Guest bytes as text; what was printed first, then what went wrong."""
    parts = (stream.decode(errors="replace").rstrip() for stream in (stdout, stderr))
    return "\n".join(part for part in parts if part)


def _capped(text: str) -> str:
    if len(text) <= TOLD_CHARACTERS:
        return text
    half = TOLD_CHARACTERS // 2
    return f"{text[:half]}\n[{len(text) - TOLD_CHARACTERS} characters left out]\n{text[-half:]}"


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
        durable: Durable,
        approvals: Approvals | None = None,
    ) -> Toolset:
        """Raises InvalidRequest for a tool that is not there, a name that two tools have, a choice that nothing fits."""
        registered = [] if registry is None else await self.catalog.registered(principal, registry)
        tools = Toolset(
            builtins={name: self.catalog.builtin(name) for name in builtins},
            registered=registered,
            functions=functions,
            workshop=self.workshop,
            refusal=partial(self.catalog.refusal, principal, granted={tool.tool_id for tool in registered if tool.granted}),
            durable=durable,
            retries=self.retries,
            turn_id=turn_id,
            organization_id=principal.organization_id,
            approvals=approvals,
        )
        _refuse_duplicates([*builtins, *(tool.version.name for tool in registered), *(spec.name for spec in functions)])
        _refuse_choice(choice or ToolChoice(), [spec.name for spec in tools.specs])
        return tools


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
