"""The gate of a tool call, in processor time: parse, validate, authorise, and make the rows of ledger and audit log.

The commit is not in it, and neither is the question to the database whether the tool may run: it is measured beside. Garbage is
collected as in the gateway.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from api.gateway import spare_the_collector
from core.audit.turns import TurnAudit
from core.conversations.loop import _dispatched
from core.conversations.record import Recorder
from core.conversations.story import Story
from core.events import Replied, TurnStatus
from core.identity.principals import Principal, Role, Scope
from core.messages import FinishReason, Offer, ToolCall, ToolCallItem, Usage
from core.storage.journal import Pending
from core.storage.journal_statement import rows_of
from core.storage.records import Turn
from core.storage.tool_calls import Gate
from core.tools.catalog import Catalog, Registered
from core.tools.definition import parse_manifest
from core.tools.executor import Prepared, Toolset
from tests.benchmarks.figures import Figure

CALLS, ROUNDS = 200, 25
MANIFEST = {
    "name": "fx_rate",
    "description": "Exchange rate between two currencies",
    "parameters": {
        "type": "object",
        "properties": {"base": {"type": "string"}, "quote": {"type": "string"}, "amount": {"type": "number"}},
        "required": ["base", "quote"],
        "additionalProperties": False,
    },
    "runtime": {"kind": "python", "code": "def main(base, quote, amount=1):\n    return amount"},
    "effect": "idempotent",
}
WHO = Principal(organization_id="org_1", user_id="user_1", key_id="key_1", role=Role.MEMBER, scopes=frozenset({Scope.CHAT}))
OPEN = Gate(
    id="tool_1",
    organization_id="org_1",
    name="fx_rate",
    enabled=True,
    grants=["role:member"],
    quotas="[]",
    deleted_at=None,
    role="member",
)


class _Answered:
    """The registry's answer, without the way to it."""

    async def gate(self, _tool_id: str, _key_id: str) -> Gate:
        return OPEN


async def _never() -> None: ...


def measure() -> Sequence[Figure]:
    spare_the_collector()
    parts = [asyncio.run(_spent()) for _ in range(ROUNDS)]
    return [
        Figure(
            what="gate of a tool call: processor, without the commit",
            unit="us",
            ours=sorted(parts)[len(parts) // 2],
            at_most=50,
            note="the question whether it may run is not in it",
        )
    ]


async def _spent() -> float:
    """Microseconds a call."""
    store: Any = _Answered()
    catalog = Catalog(store)
    tools = Toolset(
        builtins={},
        registered=[Registered(tool_id="tool_1", version=parse_manifest(MANIFEST))],
        functions=(),
        workshop=Any,  # type: ignore[arg-type]  # nothing is run
        refusal=lambda tool: catalog.refusal(WHO, tool),
        durable=_never,
        retries=3,
        turn_id=TURN.id,
        organization_id=WHO.organization_id,
    )
    calls = [
        ToolCall(id=f"call_{n}", name="fx_rate", arguments=f'{{"base":"EUR","quote":"NOK","amount":{n}.5}}')
        for n in range(CALLS)
    ]
    recorder = Recorder(Story(TURN.id), TurnAudit(TURN))
    items = tuple(ToolCallItem(id=call.id, call=call, offer=Offer.REGISTRY) for call in calls)
    recorder.entry(Replied(step=0, first_item=0, items=items, usage=Usage(), finish=FinishReason.STOP, seconds=0))
    tools.prepare(calls[0])
    began = time.process_time()
    for place, call in enumerate(calls):
        prepared = tools.prepare(call)
        assert isinstance(prepared, Prepared)
        assert await tools.admit([prepared]) == [None]
        pending = Pending()
        pending.merge(recorder.entry(_dispatched(place, prepared)), place + 1)
        rows_of(TURN, "server", 1, pending)
    return (time.process_time() - began) / CALLS * 1e6


TURN = Turn(
    id="resp_" + "0" * 32,
    organization_id="org_1",
    user_id="user_1",
    key_id="key_1",
    conversation_id=None,
    previous_turn_id=None,
    model="m",
    status=TurnStatus.RUNNING,
    stored=True,
    wire="responses/1",
    echo={},
    metadata={},
    created_at=datetime(2026, 11, 21, tzinfo=UTC),
)
