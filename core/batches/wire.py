"""What a batch asks of the wire that its lines are written in. The wires are given by who speaks them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from core.conversations.request import TurnRequest
from core.errors import PaddockError
from core.events import Recorded
from core.storage.records import Turn


class BatchWire(Protocol):
    stores: bool
    """Whether an answer is kept whose request says nothing of that."""

    def read(self, body: str) -> TurnRequest:
        """The body of one request, in JSON. Raises InvalidRequest."""
        ...

    def write(self, turn: Turn, events: Sequence[Recorded]) -> tuple[int, Mapping[str, Any]]:
        """Status and body of the answer, from all events of a turn that has ended."""
        ...

    def refusal(self, error: PaddockError) -> tuple[int, Mapping[str, Any]]:
        """Status and body of the answer to a request that became no turn."""
        ...


Wires = Mapping[str, BatchWire]
"""By the path that a line names."""
