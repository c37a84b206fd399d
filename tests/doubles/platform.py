"""A platform in memory, for what a real one does too seldom: it stalls, breaks and lies on request."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from core.bootstrap import Readiness
from core.config import Settings
from core.conversations.request import TurnRequest
from core.errors import NotFound, Unauthenticated
from core.events import Recorded, TurnEvent
from core.identity.principals import Principal, Role, Scope
from core.llm.declaration import Prices
from core.storage.records import Turn
from core.telemetry.telemetry import Telemetry, silent
from tests.unit.wire_stories import turn

KEY = "pk_double"
PRINCIPAL = Principal(organization_id="org_1", user_id="user_1", key_id="key_1", role=Role.OWNER, scopes=frozenset(Scope))


@dataclass
class Turns:
    """Every turn plays `story`; an exception in it is raised, None waits for `go_on`."""

    story: Sequence[TurnEvent | Exception | None]
    waited_for: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, _principal: Principal, request: TurnRequest, *, on_offer: Callable[[str], None]) -> Turn:
        accepted = turn(wire=request.wire, echo=request.echo, stored=request.store)
        on_offer(accepted.id)
        return accepted

    async def get(self, _principal: Principal, turn_id: str) -> Turn:
        raise NotFound(f"no response {turn_id!r}", code="response_not_found")

    async def follow(
        self, _principal: Principal, _turn_id: str, *, after: int = 0, live: bool = True
    ) -> AsyncGenerator[Recorded, None]:
        seq = 0
        try:
            for event in self.story:
                if event is None:
                    self.waited_for.set()
                    await self.go_on.wait()
                elif isinstance(event, Exception):
                    raise event
                else:
                    seq += 1
                    if seq > after:
                        yield Recorded(seq, event)
        finally:
            self.left.set()


class Identity:
    async def authenticate(self, token: str, *, request_id: str | None = None) -> Principal:
        if token != KEY:
            raise Unauthenticated("the API key is not valid")
        return PRINCIPAL

    async def turned_away(self, error: Unauthenticated, request_id: str | None) -> None:
        """There is no audit log."""


@dataclass
class PlatformDouble:
    turns: Turns
    settings: Settings
    readiness_told: Readiness = field(default_factory=lambda: Readiness(ready=True, checks={"database": "ok"}))
    identity: Identity = field(default_factory=Identity)
    telemetry: Telemetry = field(default_factory=silent)

    @property
    def models(self) -> Any:
        return SimpleNamespace(names=("scripted",), prices=lambda _name: Prices())

    async def readiness(self) -> Readiness:
        return self.readiness_told


def platform(
    *story: TurnEvent | Exception | None, settings: Mapping[str, Any] | None = None, readiness: Readiness | None = None
) -> Any:
    """Any: it is no Platform, it only answers like one."""
    made = Settings.model_validate(
        {"home": Path("/nowhere"), "config": Path("/nowhere/paddock.yaml"), "metrics_networks": (), **(settings or {})}
    )
    double = PlatformDouble(turns=Turns(story), settings=made)
    if readiness is not None:
        double.readiness_told = readiness
    return double
