"""From a file of JSON lines to the requests in it. What one asks for is its route's to judge; nothing is looked up. Pure."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import InvalidRequest

MOST_LINES = 50_000
LONGEST_ID = 512
MOST_TOLD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """number: from 1. custom_id: JSON. body: JSON of the request."""

    number: int
    custom_id: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that is no request. param: what is wrong in it."""

    line: int
    code: str
    message: str
    param: str | None


class BadLines(InvalidRequest):
    """At least one; of more than MOST_TOLD no more are told."""

    code = "invalid_lines"

    def __init__(self, lines: Sequence[BadLine]) -> None:
        super().__init__(f"line {lines[0].line}: {lines[0].message}")
        self.lines = lines


def parsed(content: bytes, endpoint: str, *, line_bytes: int) -> list[Line]:
    """Raises BadLines, and InvalidRequest for a file that holds no line, or too many."""
    seen: set[str] = set()
    lines, bad = list[Line](), list[BadLine]()
    for number, raw in _numbered(content):
        try:
            lines.append(_line(number, raw, endpoint, line_bytes, seen))
        except InvalidRequest as exc:
            bad.append(BadLine(line=number, code=exc.code, message=exc.message, param=exc.param))
            if len(bad) == MOST_TOLD:
                break
    if bad:
        raise BadLines(bad)
    if not lines:
        raise InvalidRequest("the file holds no request", param="input_file_id", code="empty_file")
    return lines


def problem(code: str, message: str) -> str:
    """As what is wrong with a line, or with all of a batch, is kept."""
    return json.dumps({"code": code, "message": message})


def problems(lines: Sequence[BadLine]) -> str:
    """As what is wrong with several lines is kept, at least one: the first, with the others in it."""
    first, *others = map(asdict, lines)
    return json.dumps({**first, "others": others})


def _numbered(content: bytes) -> Iterator[tuple[int, bytes]]:
    """One after the other: a list of all lines of a file that is nothing but lines would be many times as large."""
    for number, raw in enumerate(io.BytesIO(content), start=1):
        if number > MOST_LINES:
            raise InvalidRequest(f"the file holds more than {MOST_LINES} lines", param="input_file_id", code="too_many_lines")
        if raw.strip():
            yield number, raw.removesuffix(b"\n")


def _line(number: int, raw: bytes, endpoint: str, line_bytes: int, seen: set[str]) -> Line:
    """Raises InvalidRequest, with codes that OpenAI's batches have where there is one for it."""
    if len(raw) > line_bytes:
        raise InvalidRequest(f"the line is longer than {line_bytes} bytes", code="line_too_long")
    given = _object(raw)
    custom_id = _custom_id(given)
    if custom_id in seen:
        raise InvalidRequest("an earlier line has the same custom_id", param="custom_id", code="duplicate_custom_id")
    seen.add(custom_id)
    if _required(given, "method") != "POST":
        raise InvalidRequest("'method' must be 'POST'", param="method", code="invalid_value")
    if _required(given, "url") != endpoint:
        raise InvalidRequest(f"'url' must be the batch's endpoint, {endpoint!r}", param="url", code="url_mismatch")
    if not isinstance(_required(given, "body"), dict):
        raise InvalidRequest("'body' must be an object", param="body", code="invalid_type")
    return Line(number=number, custom_id=custom_id, body=json.dumps(given["body"]))


def _object(raw: bytes) -> dict[str, Any]:
    try:
        given = json.loads(raw)
    except ValueError:
        given = None
    except RecursionError:
        raise InvalidRequest("the line is nested too deeply", code="invalid_json_line") from None
    if not isinstance(given, dict):
        raise InvalidRequest("the line is not a JSON object", code="invalid_json_line")
    return given


def _required(given: dict[str, Any], name: str) -> Any:
    if given.get(name) is None:
        raise InvalidRequest(f"missing required parameter: {name!r}", param=name, code="missing_required_parameter")
    return given[name]


def _custom_id(given: dict[str, Any]) -> str:
    custom_id = _required(given, "custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= LONGEST_ID:
        message = f"'custom_id' must be a string of 1 to {LONGEST_ID} characters"
        raise InvalidRequest(message, param="custom_id", code="invalid_value")
    return json.dumps(custom_id)
