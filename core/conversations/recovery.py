"""From a turn's journal to the place where its loop is entered again: what is settled, what is done again, and what nobody will
ever know. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.conversations.budget import Budget
from core.conversations.loop import Entrance
from core.conversations.reply import as_message
from core.events import (
    CallDelta,
    CallStarted,
    NestedDispatched,
    NestedReturned,
    ReasoningDelta,
    Replied,
    ReplyCut,
    TextDelta,
    ToolDispatched,
    ToolReturned,
    ToolsListed,
    TurnDeferred,
    TurnEvent,
)
from core.messages import ToolCallItem, ToolResult, Transcript, Usage
from core.tools.definition import Effect
from core.tools.nested import NestedCall, Path, Written
from core.tools.telling import UNKNOWN

DigestOf = Callable[[str], str | None]
"""Of the version of a tool that would run now; None when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """first: events that close what was cut off, to be recorded before the loop is entered."""

    first: tuple[TurnEvent, ...]
    entrance: Entrance


class Past:
    """Fed with a turn's events in order. Replies that were acted on go into transcript and budget as the loop puts them there;
    the last one is left to the loop, with those of its calls that have returned.
    """

    def __init__(self, transcript: Transcript, budget: Budget) -> None:
        self._transcript = transcript
        self._budget = budget
        self._step = self._item = 0
        self._cut: int | None = None  # the first item of a reply that is not whole
        self._said: list[str] | None = []  # of it; None where what it took is told
        self._replied: Replied | None = None
        self._dispatched: dict[int, ToolDispatched] = {}
        self._written: dict[int, dict[Path, Written]] = {}
        self._results: dict[int, ToolResult] = {}

    def take(self, event: TurnEvent) -> None:
        self._hear(event)
        match event:
            case ToolsListed(item=n):
                self._item = n + 1
            case TextDelta(item=n) | ReasoningDelta(item=n) | CallStarted(item=n):
                if self._cut is None:
                    self._settle()
                    self._cut = self._item
                self._item = n + 1
            case ReplyCut(usage=usage):
                self._cut = None
                self._budget.lose(usage or Usage())
            case TurnDeferred(usage=usage):
                self._budget.lose(usage)
            case Replied():
                self._settle()
                self._replied, self._cut = event, None
                self._step, self._item = event.step + 1, event.first_item + len(event.items)
            case ToolDispatched(item=n):
                self._dispatched[n] = event
            case NestedDispatched(item=n, path=path):
                self._written.setdefault(n, {})[path] = Written(call=_nested(event), result=None)
            case NestedReturned(item=n, path=path, result=result):
                self._written[n][path] = replace(self._written[n][path], result=result)
            case ToolReturned(item=n, result=result):
                self._results[n] = result
            case _:
                pass

    def _hear(self, event: TurnEvent) -> None:
        match event:
            case TextDelta(text=piece) | ReasoningDelta(text=piece) | CallDelta(arguments=piece):
                if self._said is not None:
                    self._said.append(piece)
            case ReplyCut() | Replied():
                self._said = []
            case TurnDeferred():
                self._said = None if self._cut is not None else []

    def _settle(self) -> None:
        """The last reply was acted on: every call of it has returned."""
        replied, self._replied = self._replied, None
        if replied is None:
            return
        self._budget.spend(replied.usage)
        self._transcript.add(as_message(replied))
        calls = [item.call for item in replied.items if isinstance(item, ToolCallItem)]
        if calls:
            self._budget.take_step(calls)
        for n in sorted(self._results):
            self._transcript.add(self._results[n])
        self._count_calls()
        self._dispatched, self._written, self._results = {}, {}, {}

    def _count_calls(self) -> None:
        returned = len(self._dispatched.keys() & self._results.keys())
        for _ in range(returned + sum(map(len, self._written.values()))):
            self._budget.take_call()

    def back(self, digest_of: DigestOf, lost: Callable[[str], Usage]) -> Return:
        """To be asked once, after the last event. lost: what a reply took that was cut off after so much."""
        first: list[TurnEvent] = []
        if self._cut is not None:
            usage = None if self._said is None else lost("".join(self._said))
            first.append(ReplyCut(first_item=self._cut, usage=usage))
            self._budget.lose(usage or Usage())
        for n, dispatched in self._dispatched.items():
            if n not in self._results and not _may_run_again(dispatched, digest_of):
                self._results[n] = ToolResult(call_id=dispatched.call_id, content=UNKNOWN, failed=True)
                first.append(ToolReturned(item=n, result=self._results[n], seconds=0.0, unknown=True))
        self._count_calls()
        entrance = Entrance(
            step=self._step if self._replied is None else self._replied.step,
            item=self._item,
            replied=self._replied,
            results=self._results,
            sent={n: Effect(sent.effect) for n, sent in self._dispatched.items() if n not in self._results},
            written=self._written,
        )
        return Return(first=tuple(first), entrance=entrance)


def _nested(event: NestedDispatched) -> NestedCall:
    return NestedCall(
        id=event.call_id,
        path=event.path,
        tool=event.tool,
        version_digest=event.version_digest,
        effect=Effect(event.effect),
        arguments_digest=event.arguments_digest,
    )


def _may_run_again(dispatched: ToolDispatched, digest_of: DigestOf) -> bool:
    """A key makes a call idempotent for the version that it was sent to, and no other."""
    match Effect(dispatched.effect):
        case Effect.PURE:
            return True
        case Effect.IDEMPOTENT:
            return digest_of(dispatched.tool) == dispatched.version_digest
        case Effect.EFFECTFUL:
            return False
