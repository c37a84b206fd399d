"""Output as it arrives: passed on and kept, both up to the cap."""

from sandbox.contract import OnOutput, Stream
from sandbox.errors import LimitExceeded


class Capture:
    """limit: bytes of all streams together; what comes after them is dropped and sets `truncated`."""

    def __init__(self, limit: int, on_output: OnOutput) -> None:
        self._limit = self._room = limit
        self._on_output = on_output
        self._kept = {stream: bytearray() for stream in Stream}
        self._result_cut = False
        self.truncated = False

    def write(self, stream: Stream, data: bytes) -> None:
        if len(data) > self._room:
            self.truncated = True
            self._result_cut |= stream is Stream.RESULT
            data = data[: self._room]
        if data:
            self._room -= len(data)
            self._kept[stream] += data
            self._on_output(stream, data)

    def check(self) -> None:
        """Raises LimitExceeded for a result that did not fit: half of one is none."""
        if self._result_cut:
            raise LimitExceeded("output_bytes", f"{self._limit} bytes")

    @property
    def stdout(self) -> bytes:
        return bytes(self._kept[Stream.STDOUT])

    @property
    def stderr(self) -> bytes:
        return bytes(self._kept[Stream.STDERR])

    @property
    def result(self) -> bytes | None:
        """None where there was none: JSON is never empty."""
        return bytes(self._kept[Stream.RESULT]) or None
