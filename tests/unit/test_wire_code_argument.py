"""The code of a call is read out of its arguments while they arrive, however they are cut."""

import json
import random

import pytest

from api.wire.code_argument import CodeArgument, code_of

CODES = [
    "",
    "print(6 * 7)",
    'print("a \\ b / \\u0041")\n\tpass\r\n',
    "x = '世界 \U0001f44b \u2028 \x00 \x7f'",
    "\ud83d\udc4b half: ".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
]


def read_in_pieces(arguments: str, seed: int) -> str:
    cut, argument, read, at = random.Random(seed), CodeArgument(), "", 0
    while at < len(arguments):
        step = cut.randint(1, 4)
        read += argument.feed(arguments[at : at + step])
        at += step
    return read


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("code", CODES)
def test_any_cut_gives_the_code(code: str, ascii_only: bool) -> None:
    for arguments in (
        json.dumps({"code": code}, ensure_ascii=ascii_only),
        json.dumps(
            {"other": {"code": "no"}, "list": ["code", {"code": "no"}], "n": 1.5e3, "code": code}, ensure_ascii=ascii_only
        ),
        json.dumps({"code": code, "after": {"code": "no"}}, ensure_ascii=ascii_only, indent=2),
    ):
        assert code_of(arguments) == code
        assert all(read_in_pieces(arguments, seed) == code for seed in range(20))


def test_a_key_may_be_written_with_escapes() -> None:
    assert code_of('{"\\u0063ode": "1"}') == "1"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('{"code": "print(1', "print(1"),
        ('{"code": "a\\', "a"),
        ('{"code": "a\\u00', "a"),
        ('{"code": "a\\q\\uzzzzb"}', "ab"),
        ('{"code": "\\ud83d"}', "\ufffd"),
        ('{"code": "\\ud83d\\ud83d\\udc4b"}', "\ufffd\U0001f44b"),
        ('{"code": "\\udc4b"}', "\ufffd"),
        ('{"code": 5}', ""),
        ('{"code": null, "code": "late"}', "late"),
        ('{"code": "first", "code": "second"}', "first"),
        ('["code", "no"]', ""),
        ('"code"', ""),
        ("}}}]]]", ""),
        ("", ""),
        ("print(1)", ""),
    ],
)
def test_malformed_arguments_give_what_can_be_read(arguments: str, code: str) -> None:
    assert code_of(arguments) == code
    assert all(read_in_pieces(arguments, seed) == code for seed in range(20))
