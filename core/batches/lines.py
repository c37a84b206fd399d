"""From a file of JSON lines to the requests in it. A line that is wrong says so alone; nothing here is looked up. Pure."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidRequest

MOST_LINES = 50_000
LONGEST_ID = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """number: from 1. custom_id: JSON. body: JSON of the request; None where error says what is wrong with the line."""

    number: int
    custom_id: str
    body: str | None = None
    error: str | None = None


def parsed(content: bytes, endpoint: str, *, line_bytes: int) -> list[Line]:
    """Raises InvalidRequest for a file that holds no line, or too many."""
    seen: set[str] = set()
    lines = [_line(number, raw, endpoint, line_bytes, seen) for number, raw in _numbered(content)]
    if not lines:
        raise InvalidRequest("the file holds no request", param="input_file_id", code="empty_file")
    return lines


def problem(code: str, message: str) -> str:
    """As a line's error is kept."""
    return json.dumps({"code": code, "message": message})


def _numbered(content: bytes) -> Iterator[tuple[int, bytes]]:
    """One after the other: a list of all lines of a file that is nothing but lines would be many times as large."""
    for number, raw in enumerate(io.BytesIO(content), start=1):
        if number > MOST_LINES:
            raise InvalidRequest(f"the file holds more than {MOST_LINES} lines", param="input_file_id", code="too_many_lines")
        if raw.strip():
            yield number, raw.removesuffix(b"\n")


def _line(number: int, raw: bytes, endpoint: str, line_bytes: int, seen: set[str]) -> Line:
    custom_id = json.dumps(None)
    try:
        if len(raw) > line_bytes:
            raise InvalidRequest(f"the line is longer than {line_bytes} bytes", code="line_too_long")
        given = _object(raw)
        custom_id = _custom_id(given)
        if custom_id in seen:
            raise InvalidRequest("the custom_id was used by an earlier line", code="duplicate_custom_id")
        seen.add(custom_id)
        if given.get("method") != "POST" or given.get("url") != endpoint:
            raise InvalidRequest(f"expected method 'POST' and url {endpoint!r}", code="invalid_line")
        if not isinstance(given.get("body"), dict):
            raise InvalidRequest("'body' must be an object", code="invalid_line")
        body = json.dumps(given["body"])
    except RecursionError:
        return Line(number=number, custom_id=custom_id, error=problem("invalid_json_line", "the line is nested too deeply"))
    except InvalidRequest as exc:
        return Line(number=number, custom_id=custom_id, error=problem(exc.code, exc.message))
    return Line(number=number, custom_id=custom_id, body=body)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise InvalidRequest("the line is not a JSON object", code="invalid_json_line")
    return given


def _custom_id(given: dict[str, Any]) -> str:
    custom_id = given.get("custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= LONGEST_ID:
        raise InvalidRequest(f"'custom_id' must be a string of 1 to {LONGEST_ID} characters", code="invalid_line")
    return json.dumps(custom_id)
