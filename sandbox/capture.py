"""Output as it arrives: passed on and kept, both up to the cap."""

from sandbox.contract import OnOutput, Stream


class Capture:
    """limit: bytes of stdout and stderr together; what comes after them is dropped and sets `truncated`."""

    def __init__(self, limit: int, on_output: OnOutput) -> None:
        self._room = limit
        self._on_output = on_output
        self._kept = {Stream.STDOUT: bytearray(), Stream.STDERR: bytearray()}
        self.truncated = False

    def write(self, stream: Stream, data: bytes) -> None:
        if len(data) > self._room:
            self.truncated = True
            data = data[: self._room]
        if data:
            self._room -= len(data)
            self._kept[stream] += data
            self._on_output(stream, data)

    @property
    def stdout(self) -> bytes:
        return bytes(self._kept[Stream.STDOUT])

    @property
    def stderr(self) -> bytes:
        return bytes(self._kept[Stream.STDERR])
