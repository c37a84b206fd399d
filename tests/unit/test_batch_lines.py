"""A batch's file, taken apart: what each line is, and what a hostile file costs."""

import json
import tracemalloc

import pytest

from core.batches.lines import MOST_LINES, parsed
from core.errors import InvalidRequest

RESPONSES = "/v1/responses"


def a_line(custom_id: str) -> bytes:
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": RESPONSES, "body": {"input": "x"}}).encode()


def test_a_line_may_be_as_long_as_it_may_be_and_no_byte_longer() -> None:
    content = a_line("1") + b"\n\n" + a_line("2")
    assert [(line.number, line.error) for line in parsed(content, RESPONSES, line_bytes=len(a_line("1")))] == [
        (1, None),
        (3, None),
    ]
    refused = parsed(content, RESPONSES, line_bytes=len(a_line("1")) - 1)
    assert [json.loads(line.error or "{}")["code"] for line in refused] == ["line_too_long"] * 2


@pytest.mark.parametrize("line", [b"\n", b"ab\n"])
def test_a_file_that_is_nothing_but_lines_is_refused_before_they_fill_the_memory(line: bytes) -> None:
    content = line * (20 * MOST_LINES)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest, match="more than"):
            parsed(content, RESPONSES, line_bytes=1000)
        assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    finally:
        tracemalloc.stop()
