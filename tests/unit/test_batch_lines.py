"""A batch's file, taken apart: what each line is, and what a hostile file costs."""

import json
import tracemalloc

import pytest

from api.batches import WIRES
from core.batches.answers import _stays
from core.batches.lines import MOST_LINES, BadLines, parsed, problems
from core.errors import InvalidRequest

RESPONSES = "/v1/responses"


def a_line(custom_id: str) -> bytes:
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": RESPONSES, "body": {"input": "x"}}).encode()


def test_a_line_may_be_as_long_as_it_may_be_and_no_byte_longer() -> None:
    content = a_line("1") + b"\n\n" + a_line("2")
    lines = parsed(content, RESPONSES, line_bytes=len(a_line("1")))
    assert [(line.number, line.custom_id, line.body) for line in lines] == [
        (1, '"1"', '{"input": "x"}'),
        (3, '"2"', '{"input": "x"}'),
    ]
    with pytest.raises(BadLines) as refused:
        parsed(content, RESPONSES, line_bytes=len(a_line("1")) - 1)
    assert [(bad.line, bad.code) for bad in refused.value.lines] == [(1, "line_too_long"), (3, "line_too_long")]


DEEP = b"[" * 100_000 + b"]" * 100_000
GOOD = {"custom_id": "a", "method": "POST", "url": RESPONSES, "body": {}}


def changed(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"[1]", "invalid_json_line", None),
        (b'{"custom_id": "\xff"}', "invalid_json_line", None),
        (b'{"custom_id": "a", "body": ' + DEEP + b"}", "invalid_json_line", None),
        (b"{}", "missing_required_parameter", "custom_id"),
        (changed(custom_id=1), "invalid_value", "custom_id"),
        (changed(custom_id=""), "invalid_value", "custom_id"),
        (changed(custom_id="x" * 513), "invalid_value", "custom_id"),
        (changed(method=None), "missing_required_parameter", "method"),
        (changed(method="GET"), "invalid_value", "method"),
        (changed(url=None), "missing_required_parameter", "url"),
        (changed(url="/v1/chat/completions"), "url_mismatch", "url"),
        (changed(body=None), "missing_required_parameter", "body"),
        (changed(body=[]), "invalid_type", "body"),
        (a_line("first"), "duplicate_custom_id", "custom_id"),
    ],
)
def test_what_is_wrong_with_a_line_is_told_with_its_number(line: bytes, code: str, param: str | None) -> None:
    with pytest.raises(BadLines) as refused:
        parsed(b"\n" + a_line("first") + b"\n" + line + b"\n", RESPONSES, line_bytes=10**6)
    assert [(bad.line, bad.code, bad.param) for bad in refused.value.lines] == [(3, code, param)]


def test_of_many_bad_lines_a_hundred_are_told() -> None:
    with pytest.raises(BadLines) as refused:
        parsed(a_line("a") + b"\n{" * 1000, RESPONSES, line_bytes=1000)
    told = json.loads(problems(refused.value.lines))
    assert (told["code"], told["line"], len(told["others"])) == ("invalid_json_line", 2, 99)
    assert told["others"][-1]["line"] == 101


@pytest.mark.parametrize("line", [b"\n", b"ab\n"])
def test_a_file_that_is_nothing_but_lines_is_refused_before_they_fill_the_memory(line: bytes) -> None:
    content = line * (20 * MOST_LINES)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest, match=r"more than|not a JSON object"):
            parsed(content, RESPONSES, line_bytes=1000)
        assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("path", "body", "stays"),
    [
        ("/v1/responses", '{"input": "x"}', True),
        ("/v1/responses", '{"input": "x", "store": false}', False),
        ("/v1/responses", '{"input": "x", "store": null, "a parameter of a later version": 1}', True),
        ("/v1/responses", '{"input": "x", "store": false, "a parameter of a later version": 1}', False),
        ("/v1/chat/completions", '{"messages": []}', False),
        ("/v1/chat/completions", '{"messages": [], "store": true}', True),
        ("/v1/responses", "[" * 100_000, True),
        ("/v1/responses", "[]", True),
        ("/v1/a/route/of/a/later/version", '{"input": "x"}', True),
    ],
)
def test_the_answer_of_a_line_stays_where_that_was_asked_for_or_nobody_knows(path: str, body: str, *, stays: bool) -> None:
    assert _stays(WIRES.get(path), body) is stays
