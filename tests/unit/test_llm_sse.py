import random

import pytest

from core.llm.sse import SseDecoder

STREAM = (
    b": a comment\r\n"
    b"event: message\r\n"
    b"data: one\r\n\r\n"
    b"data:two\n\n"
    b"id: 7\ndata: three\ndata:  and more\nretry: 10\n\n"
    b"\n\n"
    b"data: four\r\r"
    b"data\n\n"
    b"data: f\xc3\xbcnf\r\n\r\n"
)
EVENTS = [b"one", b"two", b"three\n and more", b"four", b"f\xc3\xbcnf"]


def decoded(pieces: list[bytes]) -> list[bytes]:
    decoder = SseDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


def test_events_are_found_in_one_piece() -> None:
    assert decoded([STREAM]) == EVENTS


def test_events_are_found_byte_by_byte() -> None:
    assert decoded([STREAM[index : index + 1] for index in range(len(STREAM))]) == EVENTS


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_byte_order_mark_is_stripped_at_the_head_and_only_there(size: int, end: bytes) -> None:
    mark = b"\xef\xbb\xbf"
    stream = mark + b"data: " + mark + b"one" + 2 * end + mark + b"data: two" + 2 * end + b"data: three" + 2 * end
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert decoded(pieces) == [mark + b"one", b"three"]
    assert decoded([mark + stream]) == [b"three"]


@pytest.mark.parametrize("seed", range(60))
def test_events_are_found_wherever_the_bytes_are_split(seed: int) -> None:
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, len(STREAM)), chance.randint(1, 12)))
    pieces = [STREAM[start:end] for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
    assert decoded(pieces) == EVENTS


def test_an_empty_piece_in_the_middle_of_a_line_end_changes_nothing() -> None:
    assert decoded([b"data: one\r", b"", b"\ndata: two\r\n\r", b"", b"\n"]) == [b"one\ntwo"]


def test_a_last_event_without_its_blank_line_is_taken() -> None:
    assert decoded([b"data: one\n\ndata: two"]) == [b"one", b"two"]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 90, b"x" * 90, b"data: " + b"x" * 40 + b"\ndata: " + b"x" * 40 + b"\n"])
def test_an_event_larger_than_the_cap_is_refused_before_it_is_held(piece: bytes) -> None:
    decoder = SseDecoder(max_bytes=64)
    with pytest.raises(ValueError, match="more than 64 bytes"):
        decoder.feed(piece)


def test_the_cap_is_for_one_event_and_not_for_the_stream() -> None:
    decoder = SseDecoder(max_bytes=64)
    assert sum(len(decoder.feed(b"data: " + b"x" * 40 + b"\n\n")) for _ in range(100)) == 100


def test_a_line_without_end_that_comes_in_small_pieces_is_refused_too() -> None:
    decoder = SseDecoder(max_bytes=1000)
    for _ in range(1000):
        decoder.feed(b"x")
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        decoder.feed(b"x")


def test_endless_comments_are_not_held() -> None:
    decoder = SseDecoder(max_bytes=64)
    for _ in range(1000):
        assert decoder.feed(b": keep-alive\n\n") == []
        assert decoder.feed(b": keep-") == []
        assert decoder.feed(b"alive\n") == []
