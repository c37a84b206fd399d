"""What happens in a turn. These are journaled before anyone sees them; what a client is sent is a function of them.

`item` is the ordinal, from 0, of an output item in its turn; its id is `item_id(turn_id, item)`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Discriminator, TypeAdapter

from core.messages import FinishReason, Item, ListedTool, Offer, Seldom, ToolResult, Usage


class TurnStatus(StrEnum):
    PENDING = "pending"  # accepted, and no process has taken it yet
    RUNNING = "running"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"  # stopped by a limit; what was produced stands
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (TurnStatus.PENDING, TurnStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnQueued:
    """The first event of a turn in the background; `TurnStarted` comes when a process takes it."""

    kind: Literal["queued"] = "queued"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    """The first event of every other turn."""

    kind: Literal["started"] = "started"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsListed:
    """The tools of the registry that are offered, where the conversation has not been told of these."""

    item: int
    tools: tuple[ListedTool, ...]
    kind: Literal["tools_listed"] = "tools_listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    item: int
    text: str
    refusal: Seldom = False
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningDelta:
    item: int
    text: str
    kind: Literal["reasoning"] = "reasoning"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted:
    item: int
    call_id: str
    name: str
    offer: Offer
    kind: Literal["call_started"] = "call_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDelta:
    item: int
    arguments: str
    kind: Literal["call"] = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied:
    """The model's reply is whole. items: the output items it made, in order; their first ordinal is `first_item`.

    restated: nobody was asked for it; it says again the calls of an earlier turn that a human has decided on.
    """

    step: int
    first_item: int
    items: tuple[Item, ...]
    usage: Usage
    finish: FinishReason
    seconds: float
    restated: bool = False
    kind: Literal["replied"] = "replied"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyCut:
    """The process that streamed a reply is gone. What had come of it, from `first_item` on, stands as it is, incomplete; the
    model is asked again, and no call in it is run.

    usage: an estimate of what it took; None where that was told before.
    """

    first_item: int
    usage: Usage | None = None
    kind: Literal["cut"] = "cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDispatched:
    """A tool of ours is about to run; durable before it does. Digests are SHA-256 in hex, the arguments' of their JSON.

    approval: the id of the request by which a human has let it run.
    """

    item: int
    call_id: str
    tool: str
    version_digest: str
    effect: str
    arguments_digest: str
    approval: str | None = None
    kind: Literal["dispatched"] = "dispatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested:
    """A call of ours waits for a human, and the turn ends without it. The item's id is the request's.

    arguments: canonical JSON. digest: what an approval is bound to; see core/tools/approval.py for it and the policy's fields.
    """

    item: int
    tool: str
    version_digest: str
    arguments: str
    digest: str
    four_eyes: bool
    expires_seconds: int
    kind: Literal["approval_requested"] = "approval_requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutput:
    """Output as it arrives, before the result."""

    item: int
    stream: Literal["stdout", "stderr"]
    text: str
    kind: Literal["tool_output"] = "tool_output"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReturned:
    """unknown: its process died while it ran, so that nobody can say whether it took effect; the result says that."""

    item: int
    result: ToolResult
    seconds: float
    unknown: bool = False
    kind: Literal["returned"] = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedDispatched:
    """Code in the call of `item` calls a tool itself; durable before that runs.

    path: (2, 0) is the first call that the code of the third one makes; call_id: the outer call's, and the path.
    """

    item: int
    path: tuple[int, ...]
    call_id: str
    tool: str
    version_digest: str
    effect: str
    arguments_digest: str
    kind: Literal["nested_dispatched"] = "nested_dispatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedReturned:
    """result: what the code is told, all of it."""

    item: int
    path: tuple[int, ...]
    result: ToolResult
    seconds: float
    kind: Literal["nested_returned"] = "nested_returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDeferred:
    """A turn in the background failed in a way that may pass: it waits for a process again, for so long at least.

    reason: an error's code. usage: an estimate of what the call of the model took that failed.
    """

    reason: str
    seconds: float
    usage: Usage = field(default_factory=Usage)
    kind: Literal["deferred"] = "deferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded:
    """Always the last event, exactly once.

    reason: why it is not simply complete: `max_output_tokens`, `content_filter`, `step_limit`, `time_limit`, `repetition`,
    `budget`, or an error's code. message: for a failed turn, what to tell the client. retry_after: seconds to wait before it is
    asked again, where somebody said so. at: Unix time; in the event, so that the stream and the stored turn tell the same
    moment. cut: what of the usage is an estimate for a call of the model that came to no whole reply.
    """

    status: TurnStatus
    usage: Usage = field(default_factory=Usage)
    reason: str | None = None
    message: str | None = None
    retry_after: float | None = None
    at: float | None = None
    cut: Usage | None = None
    kind: Literal["ended"] = "ended"


TurnEvent = Annotated[
    TurnQueued
    | TurnStarted
    | ToolsListed
    | TextDelta
    | ReasoningDelta
    | CallStarted
    | CallDelta
    | Replied
    | ReplyCut
    | ToolDispatched
    | ApprovalRequested
    | ToolOutput
    | ToolReturned
    | NestedDispatched
    | NestedReturned
    | TurnDeferred
    | TurnEnded,
    Discriminator("kind"),
]
TURN_EVENT: TypeAdapter[TurnEvent] = TypeAdapter(TurnEvent)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its number in the turn's journal (from 1, without a gap)."""

    seq: int
    event: TurnEvent


ITEM_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function": "fc",
    "code_interpreter": "ci",
    "registry": "mcp",
    "approval": "mcpr",
    "tool_list": "mcpl",
}


def item_id(turn_id: str, ordinal: int, prefix: str) -> str:
    """Derived, so that every replica and every replay gives an item the same id. turn_id: `resp_` and 32 hex digits."""
    return f"{prefix}_{turn_id.removeprefix('resp_')}{ordinal:04x}"


def turn_of(item_id: str) -> str:
    """The hex digits of its turn's id, where a turn made it."""
    return item_id.rpartition("_")[2][:32]
