"""Calls that code makes while it runs in a call of its own: each judged like any other and written down before it runs.

Where the code runs again after a crash, of our process or of its sandbox's, what is written is given back and nothing is done
twice.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Protocol

from core.messages import ToolResult
from core.tools import kinds
from core.tools.again import Answering
from core.tools.arguments import ToolCallRejected, arguments_of
from core.tools.canonical import canonical, digest
from core.tools.catalog import Registered
from core.tools.definition import DEEPEST, Effect, Manifest, ToolVersion, version_of
from core.tools.telling import UNKNOWN, result_of
from core.tools.work import PARSED_BYTES, Call, CallRefused, ManifestRefused, Work, Workshop
from sandbox import Answer, GuestCrashed, OnCall, Stream

MOST_CALLS = 100
"""Of all code within one call of a model."""
TOLD_CHARACTERS = 1_000_000
"""The journal keeps every result that code was given."""
TOLD_IN_ALL = 8_000_000
"""Characters, of all code within one call of a model: whoever runs or reads the turn has them in memory."""

NO_CALLS_LEFT = "the limit of tool calls for this turn is reached"
REFUSED_BEFORE = "it was refused when this code ran before, on a server or in a sandbox that died"
HOW_TO_CALL = (
    "In the code, `from paddock import call` and `call(name, **arguments)` runs one of these tools and returns its result; "
    "a failure raises `paddock.ToolError`:"
)

Path = tuple[int, ...]
"""Where a call stands: (2, 0) is the first one that the third one's code made."""

Refusal = Callable[[Registered], Awaitable[str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedCall:
    """id: the outer call's and the path, as the ledger has it."""

    id: str
    path: Path
    tool: str
    version_digest: str
    effect: Effect
    arguments_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A call of a run of the same code before, or of this one. result: None where that died before it came."""

    call: NestedCall
    result: ToolResult | None


class Record(Protocol):
    def count(self) -> bool:
        """One more call; False where the turn has none left."""
        ...

    async def dispatched(self, call: NestedCall) -> None:
        """Returns when that is durable."""
        ...

    def returned(self, call: NestedCall, result: ToolResult, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What code of a turn may call, by digest, and who is asked whether it may now. waits: for a human, and so not for code."""

    turn_id: str
    organization_id: str
    tools: Mapping[str, Registered]
    waits: Set[str]
    refusal: Refusal
    workshop: Workshop

    def effect_of(self, version: ToolVersion) -> Effect:
        """The strongest of its own and of all that its code may call."""
        if not version.calls:
            return version.effect
        return strongest(version, {digest: tool.version for digest, tool in self.tools.items()})


def bind(names: Sequence[str], current: Mapping[str, str], *, given: object) -> dict[str, str]:
    """Digests by name, of those that are current. Raises ManifestRefused."""
    for n, name in enumerate(names):
        if name not in current:
            raise ManifestRefused(f"capabilities.tools[{n}]", f"no enabled tool {name!r} in the registry")
    bound = {name: current[name] for name in names}
    if given and given != bound:
        raise ManifestRefused("runtime.tools", f"the tools that it names are now {json.dumps(bound)}; leave it out")
    return bound


def refuse_nesting(version: ToolVersion, versions: Mapping[str, ToolVersion]) -> None:
    """What a manifest may not let its code call. versions: by digest. Raises ManifestRefused."""
    for n, called in enumerate(version.calls.values()):
        _refuse_chain((version, versions[called]), versions, f"capabilities.tools[{n}]")
    if (effect := strongest(version, versions)) is not version.effect:
        message = f"its code may call what is {effect.value!r}: it is not less than that itself"
        raise ManifestRefused("effect", message)


def _refuse_chain(chain: tuple[ToolVersion, ...], versions: Mapping[str, ToolVersion], where: str) -> None:
    told, last = " -> ".join(version.name for version in chain), chain[-1]
    if last.name in {version.name for version in chain[:-1]}:
        raise ManifestRefused(where, f"the calls go in a circle: {told}")
    if len(chain) > DEEPEST + 1:
        raise ManifestRefused(where, f"code calls code {DEEPEST} deep at most: {told}")
    if last.approval is not None:
        raise ManifestRefused(where, f"{last.name!r} needs a human's approval, and code cannot wait for one")
    for called in last.calls.values():
        if called in versions:
            _refuse_chain((*chain, versions[called]), versions, where)


def granting(caller: ToolVersion, tools: Sequence[ToolVersion], versions: Mapping[str, ToolVersion]) -> ToolVersion:
    """The caller, with these for its code to call, and with words for the model of how that is done. versions: by digest."""
    manifest = Manifest.model_validate(json.loads(caller.manifest))
    capabilities = manifest.capabilities.model_copy(update={"tools": tuple(tool.name for tool in tools)})
    runtime = {**caller.runtime, "tools": {tool.name: tool.digest for tool in tools}}
    listed = "".join(f"\n- {tool.name}: {tool.description} Arguments: {canonical(tool.parameters).decode()}" for tool in tools)
    change = {"capabilities": capabilities, "description": f"{manifest.description} {HOW_TO_CALL}{listed}"}
    effect = strongest(version_of(manifest, runtime), versions)
    return version_of(manifest.model_copy(update={**change, "effect": effect}), runtime)


def strongest(version: ToolVersion, versions: Mapping[str, ToolVersion]) -> Effect:
    effects, left, seen = [version.effect], list(version.calls.values()), set[str]()
    while left:
        called = left.pop()
        if called in versions and called not in seen:
            seen.add(called)
            effects.append(versions[called].effect)
            left += versions[called].calls.values()
    return max(effects, key=list(Effect).index)


class NestedCalls:
    """Of the code in one call of a model. call_id: of that. dispatched: names of the tools, in order."""

    def __init__(self, scope: Scope, call_id: str, record: Record, written: Mapping[Path, Written]) -> None:
        self._scope = scope
        self._call_id = call_id
        self._record = record
        self._written = dict(written)
        self._made = self._told = 0
        self.dispatched = [one.call.tool for one in written.values()]

    def within(self, version: ToolVersion, path: Path = ()) -> Answering:
        """For the code of this version."""
        before = self._made, self._told

        def answering() -> OnCall:
            self._made, self._told = before
            return partial(self._answer, version, path, count())

        return answering

    async def _answer(self, version: ToolVersion, path: Path, ordinals: Iterator[int], name: str, arguments: str) -> Answer:
        result = await self._result(version, (*path, next(ordinals)), name, arguments)
        self._told += len(result.content)
        return Answer(text=result.content, failed=result.failed)

    async def _result(self, version: ToolVersion, path: Path, name: str, arguments: str) -> ToolResult:
        call_id = f"{self._call_id}/{'/'.join(map(str, path))}"
        try:
            tool = self._tool(version, path, name)
            call, work = self._prepared(tool.version, call_id, path, arguments)
        except (ToolCallRejected, CallRefused) as exc:
            return ToolResult(call_id=call_id, content=str(exc), failed=True)
        before = self._written.get(path)
        if before is not None and before.call != call:
            raise GuestCrashed("stopped: after a crash the code ran again and called something else than before")
        if before is not None and before.result is not None:
            return before.result
        sent = before is not None
        if refused := self._refused(path, known=sent) or await self._scope.refusal(replace(tool, counted=sent)):
            unknown = sent and call.effect is not Effect.PURE
            return ToolResult(call_id=call_id, content=UNKNOWN if unknown else f"not run: {refused}", failed=True)
        return await self._run(tool.version, call, work)

    def _refused(self, path: Path, *, known: bool) -> str | None:
        """known: an earlier run made the call. Where that made none here, and a later one, it was refused and is again."""
        if known:
            return None
        if any(made[:-1] == path[:-1] and made[-1] > path[-1] for made in self._written):
            return REFUSED_BEFORE
        return None if self._record.count() else NO_CALLS_LEFT

    def _tool(self, version: ToolVersion, path: Path, name: str) -> Registered:
        self._made += 1
        called = version.calls.get(name)
        if called is None:
            raise ToolCallRejected(f"the manifest of {version.name!r} does not grant a call of {name[:100]!r}")
        tool = self._scope.tools.get(called)
        if tool is None:
            raise ToolCallRejected(f"no enabled tool {name!r} in the registry")
        if called in self._scope.waits:
            raise ToolCallRejected(f"not run: {name!r} needs a human's approval, and code cannot wait for one")
        if len(path) > DEEPEST:
            raise ToolCallRejected(f"not run: code calls code {DEEPEST} deep at most")
        if self._made > MOST_CALLS:
            raise ToolCallRejected(f"not run: code makes at most {MOST_CALLS} calls")
        if self._told > TOLD_IN_ALL:
            raise ToolCallRejected(f"not run: code is given at most {TOLD_IN_ALL} characters in all, and was")
        return tool

    def _prepared(self, version: ToolVersion, call_id: str, path: Path, arguments: str) -> tuple[NestedCall, Work]:
        given = arguments_of(version, arguments)
        name = f"{self._scope.turn_id}/{call_id}"
        asked = Call(id=name, organization_id=self._scope.organization_id, arguments=given)
        work = kinds.load(version.runtime["kind"]).prepare(version, asked)
        call = NestedCall(
            id=call_id,
            path=path,
            tool=version.name,
            version_digest=version.digest,
            effect=self._scope.effect_of(version),
            arguments_digest=digest(given),
        )
        return call, work

    async def _run(self, version: ToolVersion, call: NestedCall, work: Work) -> ToolResult:
        if call.path not in self._written:
            self.dispatched.append(call.tool)
        self._written[call.path] = Written(call=call, result=None)
        await self._record.dispatched(call)
        began, workshop = time.monotonic(), self._scope.workshop
        with workshop.telemetry.tool(version.name, kind=version.runtime["kind"], call_id=call.id, shipped=False) as tell:
            result = await result_of(
                work,
                version,
                call.effect,
                call.id,
                workshop,
                on_output=_unheard,
                answering=self.within(version, call.path),
                most=PARSED_BYTES,
            )
            if len(result.content) > TOLD_CHARACTERS:  # half a text is of no use to code
                message = f"its result has {len(result.content)} characters; code is given at most {TOLD_CHARACTERS}"
                result = ToolResult(call_id=call.id, content=message, failed=True)
            tell(result.failed)
        self._record.returned(call, result, time.monotonic() - began)
        self._written[call.path] = Written(call=call, result=result)
        return result


def _unheard(_stream: Stream, _data: bytes) -> None:
    """The result has what was printed."""
