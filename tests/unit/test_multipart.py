"""A form from hostile and clumsy hands: however it is cut, the same parts come out, and what is no form is refused."""

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from starlette.requests import Request
from starlette.types import Message

from api.errors import UnsupportedMedia
from api.multipart import MOST_PARTS, Form
from core.errors import InvalidRequest, TooLarge

KIND = "multipart/form-data; boundary=edge"
FILE = b"line\r\n--edg\r\n--edge-\r\r\n\n--" + bytes(range(256))


def part(name: str, content: bytes, *, filename: str | None = None, more: bytes = b"") -> bytes:
    named = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    return b"--edge\r\nContent-Disposition: " + named.encode() + b"\r\n" + more + b"\r\n" + content + b"\r\n"


WHOLE = part("purpose", b"user_data") + part("file", FILE, filename="a.bin") + part("empty", b"") + b"--edge--\r\n"


def form(body: bytes | Sequence[bytes], kind: str | None = KIND) -> Form:
    chunks = [body] if isinstance(body, bytes) else list(body)

    async def receive() -> Message:
        return {"type": "http.request", "body": chunks.pop(0) if chunks else b"", "more_body": bool(chunks)}

    headers = [] if kind is None else [(b"content-type", kind.encode("latin-1"))]
    return Form(Request({"type": "http", "method": "POST", "headers": headers}, receive))


async def parts_of(form: Form) -> list[tuple[str, str | None, bytes]]:
    found = []
    while piece := await form.part():
        found.append((piece.name, piece.filename, b"".join([data async for data in piece.pieces()])))
    return found


async def test_wherever_the_body_is_cut_the_same_parts_come_out() -> None:
    dice = random.Random(7)
    expected = [("purpose", None, b"user_data"), ("file", "a.bin", FILE), ("empty", None, b"")]
    cuts: list[list[int]] = [[], *([place] for place in range(1, len(WHOLE))), list(range(1, len(WHOLE)))]
    cuts += [sorted(dice.sample(range(1, len(WHOLE)), 9)) for _ in range(200)]
    for places in cuts:
        bounds = [0, *places, len(WHOLE)]
        chunks = [WHOLE[start:end] for start, end in pairwise(bounds)]
        assert await parts_of(form(chunks)) == expected, places


async def test_what_is_not_read_of_a_part_is_skipped() -> None:
    reading = form([WHOLE[n : n + 10] for n in range(0, len(WHOLE), 10)])
    names = []
    while piece := await reading.part():
        names.append(piece.name)
    assert names == ["purpose", "file", "empty"]


async def test_many_line_ends_do_not_become_many_pieces() -> None:
    reading = form(part("file", b"\r\n" * 10_000, filename="a") + b"--edge--")
    found = await reading.part()
    assert found is not None
    assert [len(piece) async for piece in found.pieces()] == [20_000]


BROKEN = {
    "nothing": b"",
    "no boundary": b"purpose=user_data",
    "another boundary": b"--other\r\n\r\n--other--",
    "cut in the headers": b'--edge\r\nContent-Disposition: form-data; name="fi',
    "cut in the content": part("file", FILE, filename="a")[:-5],
    "no last boundary": part("file", FILE, filename="a"),
    "no name": b"--edge\r\nContent-Disposition: form-data\r\n\r\nx\r\n--edge--",
    "no disposition": b"--edge\r\nContent-Type: text/plain\r\n\r\nx\r\n--edge--",
    "another disposition": b'--edge\r\nContent-Disposition: attachment; name="file"\r\n\r\nx\r\n--edge--',
    "a transfer encoding": part("file", b"eA==", filename="a", more=b"Content-Transfer-Encoding: base64\r\n") + b"--edge--",
    "an endless header": b"--edge\r\nContent-Disposition: " + b"x" * 100_000,
    "endless headers": b"--edge\r\n" + b"a: b\r\n" * 1_000,
    "a header that is none": b"--edge\r\n\x00\x01: b\r\n\r\nx\r\n--edge--",
    "endless parts": part("a", b"") * (MOST_PARTS + 1) + b"--edge--",
    "a name that is no text": b'--edge\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--edge--',
    "a filename that is no text": b'--edge\r\nContent-Disposition: form-data; name="file"; filename="\xfe\xff"\r\n\r\n--edge--',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
async def test_what_is_no_form_is_refused(body: bytes) -> None:
    for chunks in ([body], [body[n : n + 7] for n in range(0, len(body), 7)]):
        with pytest.raises(InvalidRequest) as refused:
            await parts_of(form(chunks))
        assert refused.value.code in ("invalid_multipart", "invalid_text")


@pytest.mark.parametrize("kind", [None, "application/json", "multipart/mixed; boundary=edge", "text/plain"])
async def test_another_kind_of_body_is_told_what_is_expected(kind: str | None) -> None:
    with pytest.raises(UnsupportedMedia, match="multipart/form-data"):
        form(WHOLE, kind)


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 71}"]
)
async def test_a_boundary_is_named_and_is_not_endless(kind: str) -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        form(WHOLE, kind)


async def test_a_small_field_stays_small() -> None:
    reading = form(part("purpose", b"x" * 2_000) + b"--edge--")
    found = await reading.part()
    assert found is not None
    with pytest.raises(TooLarge, match="'purpose' is longer than 1024 bytes"):
        await found.text(most=1024)
