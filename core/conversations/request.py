"""What a caller asks of a turn, in our own words: the wire has been parsed, nothing has been looked up yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from operator import not_
from typing import Annotated, Any

from pydantic import Field

from core.llm.contract import JsonFormat, Labels, Sampling, ToolChoice, ToolSpec
from core.messages import Item, Seldom
from core.tools.approval import Decided
from core.tools.catalog import Selection


class Queue(IntEnum):
    """What waits in the lower one is served first."""

    BACKGROUND = 0
    BATCH = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """input: new items, already with ids, oldest first. referred: ids of those among them that are kept somewhere, and that the
    turn gets copies of. model: None for the default one.

    functions: the client's own tools; a call ends the turn. builtins: names of tools that ship, run by us.
    registry: which of its tools are offered; None for none.
    pauses: calls may wait for a human, and end the turn; else those that need it are refused.
    continues, decided: the turn whose calls humans have decided on and that this one takes up, and these calls.
    narrowed: of the tools above only some of those are here that the caller named; an assistant may add none.
    store: keep the text; an unstored turn is cancelled when its caller leaves.
    queue: to run in the background, whenever a process takes it from there; None: now, in this one.
    wire: name and version of the encoder that the caller reads through, kept with the turn (`responses/1`, `chat/1`).
    echo: the request's fields as that encoder gives them back, opaque to the platform.
    """

    input: tuple[Item, ...]
    referred: Annotated[frozenset[str], Field(exclude_if=not_)] = frozenset()
    model: str | None = None
    instructions: str | None = None
    previous_turn_id: str | None = None
    conversation_id: str | None = None
    functions: tuple[ToolSpec, ...] = ()
    builtins: tuple[str, ...] = ()
    registry: Selection | None = None
    narrowed: Seldom = False
    pauses: bool = True
    continues: str | None = None
    decided: tuple[Decided, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    parallel_tool_calls: bool = True
    max_tool_calls: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    format: JsonFormat | None = None
    labels: Labels = field(default_factory=Labels)
    truncate: bool = False
    store: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    queue: Queue | None = None
    wire: str = "responses/1"
    echo: Mapping[str, Any] = field(default_factory=dict)
