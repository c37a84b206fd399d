"""A multipart/form-data body as it arrives, part by part and piece by piece. It keeps nothing and knows no field.

The parser is python-multipart's; this is the way from its callbacks to iteration, and the limits.
"""

from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from api.errors import UnsupportedMedia
from core.errors import InvalidRequest, TooLarge

KIND = "multipart/form-data"
OVERHEAD_BYTES = 64 * 1024
"""What boundaries, headers and small fields may take, all together."""
MOST_PARTS = 32


@dataclass(slots=True)
class Part:
    """filename: of a part that says it is a file; what it says of its type is not looked at."""

    name: str
    filename: str | None
    _form: "Form"

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        while (piece := await self._form.piece()) is not None:
            yield piece

    async def text(self, *, most: int) -> str:
        """A small field. Raises InvalidRequest, TooLarge."""
        content = bytearray()
        async for piece in self.pieces():
            content += piece
            if len(content) > most:
                raise TooLarge(f"the field {self.name[:100]!r} is longer than {most} bytes", param=self.name[:100])
        return _decoded(bytes(content), self.name)


@dataclass(slots=True)
class _Headers:
    finished: dict[bytes, bytes] = field(default_factory=dict)
    name: bytes = b""
    value: bytes = b""


_Event = Part | bytearray | None
"""A part begins, a piece of it, its end."""


class Form:
    """Read once, from its beginning. Raises InvalidRequest where the body is no form, and what reading the request raises."""

    def __init__(self, request: Request) -> None:
        self._chunks = request.stream()
        self._events: deque[_Event] = deque()
        self._headers = _Headers()
        self._parts = 0
        self._ended = False
        self._parser = MultipartParser(
            boundary_of(request),
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._part_data,
                "on_part_end": self._part_ends,
                "on_end": self._form_ends,
            },
        )

    async def part(self) -> Part | None:
        """The next one; what of the one before was not read is skipped. None at the form's end."""
        while (event := await self._next()) is not None or not self._over:
            if isinstance(event, Part):
                return event
        return None

    @property
    def _over(self) -> bool:
        return self._ended and not self._events

    async def piece(self) -> bytes | None:
        """Of the part that began last; None at its end."""
        event = await self._next()
        assert not isinstance(event, Part)
        return None if event is None else bytes(event)

    async def _next(self) -> _Event:
        while not self._events and not self._ended:
            await self._feed()
        return self._events.popleft() if self._events else None

    async def _feed(self) -> None:
        chunk = await anext(self._chunks, b"")
        if not chunk:
            raise _broken("the body ends before its last boundary")
        try:
            self._parser.write(chunk)
        except FormParserError as exc:
            raise _broken("the body is not valid multipart/form-data") from exc

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise _broken(f"the form has more than {MOST_PARTS} parts")
        self._headers = _Headers()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._headers.name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers.value += data[start:end]

    def _header_ends(self) -> None:
        headers = self._headers
        headers.finished[headers.name.lower()] = headers.value
        headers.name = headers.value = b""

    def _headers_end(self) -> None:
        kind, options = parse_options_header(self._headers.finished.get(b"content-disposition", b"").decode("latin-1"))
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise _broken("a part of the form has no name")
        if b"content-transfer-encoding" in self._headers.finished:
            raise _broken("a part of the form has a transfer encoding")
        filename = options.get(b"filename")
        shown = _decoded(name, "name")
        self._events.append(Part(shown, None if filename is None else _decoded(filename, shown), self))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        """Line ends look like boundaries at first and come one by one: a piece is what one chunk holds of a part."""
        if self._events and isinstance(self._events[-1], bytearray):
            self._events[-1] += data[start:end]
        else:
            self._events.append(bytearray(data[start:end]))

    def _part_ends(self) -> None:
        self._events.append(None)

    def _form_ends(self) -> None:
        self._ended = True


def boundary_of(request: Request) -> bytes:
    """Raises UnsupportedMedia, InvalidRequest."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != KIND.encode():
        raise UnsupportedMedia(f"the body must be {KIND}, not {kind.decode('latin-1')[:100]!r}")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise _broken("the content type names no boundary of 1 to 70 characters")
    return boundary


def _decoded(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"{name[:100]!r} is not UTF-8", param=name[:100], code="invalid_text") from exc


def _broken(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_multipart")
