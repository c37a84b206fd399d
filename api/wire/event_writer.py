"""Numbers events and turns them to JSON text. It knows no event by name."""

from typing import Any

from api.wire.sse import WireEvent
from core.compact import dump, quote

_BLOCK = 16


class EventWriter:
    """obfuscate: pad deltas to a multiple of 16 characters, so that packet lengths tell less of the text. The padding
    depends on the delta alone: every reader of a turn gets the same bytes.
    """

    def __init__(self, *, obfuscate: bool = False) -> None:
        self._obfuscate = obfuscate
        self._next = 0
        self._written: list[WireEvent] = []

    def emit(self, kind: str, /, **fields: Any) -> None:
        number = self._number()
        self._written.append(WireEvent(number, kind, dump({"type": kind, "sequence_number": number, **fields})))

    def emit_delta(self, kind: str, head: str, delta: str, tail: str = "") -> None:
        """The hot path. head, tail: the other fields as JSON text, each with its leading comma."""
        number = self._number()
        if self._obfuscate:
            tail += f',"obfuscation":"{"x" * (-len(delta) % _BLOCK)}"'
        data = f'{{"type":"{kind}","sequence_number":{number}{head},"delta":{quote(delta)}{tail}}}'
        self._written.append(WireEvent(number, kind, data))

    def take(self) -> list[WireEvent]:
        """What was written since the last call."""
        written, self._written = self._written, []
        return written

    def _number(self) -> int:
        number = self._next
        self._next += 1
        return number


class Silence(EventWriter):
    """For who wants the response and not the events that lead to it."""

    def emit(self, kind: str, /, **fields: Any) -> None: ...

    def emit_delta(self, kind: str, head: str, delta: str, tail: str = "") -> None: ...
