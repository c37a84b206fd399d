"""Server-sent events out of bytes that come split anywhere (WHATWG HTML, 9.2.6). Knows `data` fields; ignores the others."""

from codecs import BOM_UTF8


class SseDecoder:
    """max_bytes: of one event; more raises ValueError."""

    def __init__(self, *, max_bytes: int = 1 << 22) -> None:
        self._max_bytes = max_bytes
        self._line: list[bytes] = []  # pieces of a line whose end has not come
        self._line_bytes = 0
        self._data: list[bytes] = []  # the lines of an event whose end has not come
        self._data_bytes = 0
        self._after_cr = False
        self._first_line = True

    def feed(self, received: bytes) -> list[bytes]:
        """The data of every event that is whole now."""
        if self._after_cr and received[:1] == b"\n":
            received = received[1:]
            self._after_cr = False
        if received:
            self._after_cr = received[-1:] == b"\r"
        if b"\r" in received:
            received = received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = received.split(b"\n")
        if lines:
            lines[0] = b"".join(self._line) + lines[0]
            if self._first_line:
                lines[0] = lines[0].removeprefix(BOM_UTF8)
                self._first_line = False
            self._line.clear()
            self._line_bytes = 0
        events = [event for line in lines if (event := self._take(line)) is not None]
        if rest:
            self._line_bytes = self._capped(self._line_bytes + len(rest))
            self._line.append(rest)
        return events

    def close(self) -> list[bytes]:
        """The stream is over. An event without its blank line is taken too: some servers forget it."""
        return self.feed(b"\n\n")

    def _take(self, line: bytes) -> bytes | None:
        if line.startswith(b"data:"):
            self._data_bytes = self._capped(self._data_bytes + len(line))
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif not line and self._data:
            event = b"\n".join(self._data)
            self._data.clear()
            self._data_bytes = 0
            return event
        return None

    def _capped(self, size: int) -> int:
        if size > self._max_bytes:
            raise ValueError(f"an event of more than {self._max_bytes} bytes")
        return size
