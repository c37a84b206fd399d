"""Which tools there are: those that ship, and those of the registry that a caller may use. It changes none."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from importlib.resources import files

from core.errors import InvalidRequest, NotFound
from core.identity.principals import Principal
from core.storage.audit import AuditRecord, Outcome
from core.storage.tool_calls import Offered, ToolCallStore
from core.tools.approval import Asking
from core.tools.definition import DEEPEST, ToolVersion, parse_manifest
from core.tools.permissions import counters, holders, quotas_from
from core.tools.versions import Versions

MOST_OFFERED = 128
"""How many tools of the registry one turn may offer, as many as a request may name."""
SCHEMAS_BYTES = 1_000_000
"""How much of their schemas: each turn's journal tells of them, and each step's prompt."""


class Caller(StrEnum):
    """As OpenAI's `allowed_callers` has it."""

    DIRECT = "direct"
    PROGRAMMATIC = "programmatic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The version of a tool that a turn began with. granted: by the turn's assistant or by another tool, whoever asks.

    nested: it is not offered; only code may call it. programmatic: code that the model writes may.
    """

    tool_id: str
    digest: str
    granted: bool = False
    nested: bool = False
    programmatic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Tools of the registry that a turn wants. names: None for all that the caller may use.

    granted: others, which an assistant lets every caller of it use; those that are turned off are left out. asking: which
    calls a human must approve; any of them is enough. pins: what came of it, once the registry was asked: it is kept with the
    turn, whatever becomes of the registry and of the process. callers: the model itself, or code that it writes, or both;
    granted_callers: of the granted ones.
    """

    names: tuple[str, ...] | None = None
    granted: tuple[str, ...] = ()
    asking: tuple[Asking, ...] = ()
    pins: tuple[Pin, ...] | None = None
    callers: tuple[Caller, ...] = (Caller.DIRECT,)
    granted_callers: tuple[Caller, ...] = (Caller.DIRECT,)

    @property
    def programmatic(self) -> bool:
        """Code may call some of them."""
        return Caller.PROGRAMMATIC in (*self.callers, *self.granted_callers)

    def opened(self, pin: Pin) -> Pin:
        """To those who may call it."""
        callers = self.granted_callers if pin.granted else self.callers
        return replace(pin, nested=Caller.DIRECT not in callers, programmatic=Caller.PROGRAMMATIC in callers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A tool of the registry as it was when the turn began. Whether it may run is asked again at each call.

    counted: this call of it was let through before, by a process that died.
    """

    tool_id: str
    version: ToolVersion
    granted: bool = False
    nested: bool = False
    programmatic: bool = False
    counted: bool = False


def shipped() -> Mapping[str, ToolVersion]:
    manifests = (entry for entry in files("core.tools.builtin").iterdir() if entry.name.endswith(".json"))
    versions = [parse_manifest(json.loads(entry.read_text())) for entry in manifests]
    return {version.name: version for version in versions}


class Catalog:
    def __init__(self, store: ToolCallStore) -> None:
        self._store = store
        self._versions = Versions()

    @cached_property
    def builtins(self) -> Mapping[str, ToolVersion]:
        return shipped()

    def builtin(self, name: str) -> ToolVersion:
        """Raises InvalidRequest."""
        try:
            return self.builtins[name]
        except KeyError:
            known = ", ".join(sorted(self.builtins))
            raise InvalidRequest(f"no built-in tool {name!r}; available: {known}", param="tools", code="unknown_tool") from None

    async def pinned(self, principal: Principal, selection: Selection) -> Selection:
        """With enabled tools that the principal may call, in the order that was asked for, else by name. One question to the
        database, however large the registry is.

        Raises InvalidRequest for a name that is not there, whether there is none, or none for this caller.
        """
        if selection.pins is not None:
            return selection
        if len(selection.names or ()) > MOST_OFFERED:
            raise _too_many(f"more than {MOST_OFFERED} tools")
        found = await self._offered(principal, selection)
        if len(found) > MOST_OFFERED:
            raise _too_many(f"more than {MOST_OFFERED} tools")
        asked = (*selection.granted, *(sorted(found) if selection.names is None else selection.names))
        pins = [selection.opened(found[name]) for name in dict.fromkeys(asked) if name in found]
        return replace(selection, pins=(*pins, *await self.nested(principal.organization_id, pins)))

    async def nested(self, organization_id: str, pins: Sequence[Pin]) -> Sequence[Pin]:
        """What their code calls, and the code of that, beside themselves: the versions that they are bound to, of tools that
        are there. One that was deleted is not, whatever has its name now.
        """
        known, found, level = {pin.digest for pin in pins}, list[Pin](), pins
        for _ in range(DEEPEST):
            versions = await self._versions_of(organization_id, [pin.digest for pin in level])
            called = {digest for version in versions.values() for digest in version.calls.values()} - known
            there = await self._store.having(organization_id, sorted(called))
            level = [Pin(tool_id=tool.id, digest=tool.digest, granted=True, nested=True) for tool in there]
            known |= called
            found += level
        return found

    async def _enabled(self, organization_id: str, names: Set[str]) -> Sequence[Offered]:
        return await self._store.offered(organization_id, None, names=sorted(names), most=len(names))

    async def _offered(self, principal: Principal, selection: Selection) -> Mapping[str, Pin]:
        """By name."""
        home, most = principal.organization_id, MOST_OFFERED + 1
        granted = await self._store.offered(home, None, names=selection.granted, most=most)
        by_grant = {tool.name for tool in granted}
        names = None if selection.names is None else [name for name in selection.names if name not in by_grant]
        own = await self._store.offered(home, holders(principal, principal.role), names=names, most=most)
        if names is not None and (missing := set(names) - {tool.name for tool in own}):
            await self._store.note(AuditRecord.by(principal, "tool.refused", min(missing), outcome=Outcome.REFUSED))
            message = f"no tool {min(missing)!r} in the registry that this key may use"
            raise InvalidRequest(message, param="tools", code="unknown_tool")
        return {tool.name: Pin(tool_id=tool.id, digest=tool.digest, granted=tool.name in by_grant) for tool in (*own, *granted)}

    async def current(self, organization_id: str, names: Set[str]) -> tuple[Mapping[str, str], Mapping[str, ToolVersion]]:
        """Of enabled tools, whoever may use them: digests by name; versions by digest, with all that their code calls."""
        tools = await self._enabled(organization_id, names)
        pins = [Pin(tool_id=tool.id, digest=tool.digest) for tool in tools]
        pins += await self.nested(organization_id, pins)
        versions = await self._versions_of(organization_id, [pin.digest for pin in pins])
        return {tool.name: tool.digest for tool in tools}, versions

    async def registered(self, principal: Principal, selection: Selection) -> Sequence[Registered]:
        """What is pinned, and now if it was not yet. Versions that this process has not seen are one question more.

        Raises InvalidRequest as `pinned` does.
        """
        pins = (await self.pinned(principal, selection)).pins or ()
        versions = await self._versions_of(principal.organization_id, [pin.digest for pin in pins])
        if sum(versions[pin.digest].schema_bytes for pin in pins if not pin.nested or pin.programmatic) > SCHEMAS_BYTES:
            raise _too_many(f"tools whose schemas have more than {SCHEMAS_BYTES} bytes")
        return [
            Registered(
                tool_id=pin.tool_id,
                version=versions[pin.digest],
                granted=pin.granted,
                nested=pin.nested,
                programmatic=pin.programmatic,
            )
            for pin in pins
        ]

    async def version(self, organization_id: str, digest: str) -> ToolVersion:
        """Also of a tool that was deleted. Raises NotFound."""
        found = await self._versions_of(organization_id, [digest])
        if digest not in found:
            raise NotFound(f"no tool version with the digest {digest!r}", code="tool_version_not_found")
        return found[digest]

    async def missing(self, organization_id: str, names: Sequence[str]) -> str | None:
        """One of the names that no enabled tool of the registry has, whoever may use it."""
        found = await self._store.offered(organization_id, None, names=names, most=len(names))
        return next((name for name in names if name not in {tool.name for tool in found}), None)

    async def refusal(self, principal: Principal, asked: Registered) -> str | None:
        """Why this caller may not call it now, in words for the model; None when it may, and then the call is counted.

        The database is asked each time: what an administrator changes holds for the next call, in every process.
        """
        tool = await self._store.gate(asked.tool_id, principal.key_id)
        if tool is None or tool.organization_id != principal.organization_id or tool.deleted_at is not None:
            return "the tool was deleted"
        if not tool.enabled:
            return f"tool {tool.name!r} is turned off"
        if not asked.granted and not (tool.role and set(tool.grants) & set(holders(principal, tool.role))):
            return f"this key may not use tool {tool.name!r}"
        quotas = () if asked.counted else quotas_from(tool.quotas)
        if quotas and (full := await self._store.count(tool, counters(principal, quotas))):
            return f"tool {tool.name!r} may be called {full.most} times in a {full.period}, and was: try again in the next one"
        return None

    async def _versions_of(self, organization_id: str, digests: Sequence[str]) -> Mapping[str, ToolVersion]:
        found = self._versions.find(digests)
        missing = [digest for digest in digests if digest not in found]
        return found | self._versions.add(await self._store.manifests(organization_id, missing)) if missing else found


def _too_many(what: str) -> InvalidRequest:
    return InvalidRequest(f"{what} at once; name those that are needed in allowed_tools", param="tools", code="too_many_tools")
