"""One text for one JSON value: RFC 8785, with its own vectors, and big integers that keep their digits."""

import json
import random
from typing import Any

import pytest
import rfc8785

from core.tools.canonical import canonical, digest


def test_the_example_of_rfc_8785() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(value).decode() == expected


def test_names_are_sorted_by_their_utf_16_units() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    assert list(json.loads(canonical(dict.fromkeys(names, 0)))) == ["\r", "1", "\u0080", "ö", "€", "\U0001f600", "\ufb33"]


@pytest.mark.parametrize(
    ("one", "other"), [({"a": 1.0}, {"a": 1}), ({"a": -0.0}, {"a": 0}), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ((1,), [1])]
)
def test_what_is_one_value_has_one_digest(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"), [(2**53, 2**53 + 1), (10**40, 10**40 + 1), (-(2**63), -(2**63) - 1), (1, "1"), (1, True)]
)
def test_what_differs_has_another_digest(one: Any, other: Any) -> None:
    assert digest({"amount": one}) != digest({"amount": other})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"\ud800": 1}, b"bytes"])
def test_what_is_no_json_has_no_text(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of the library, of codecs
        canonical({"a": value})


def test_doubles_are_written_as_the_library_writes_them() -> None:
    draw = random.Random(8785)
    edges = [0.0, -0.0, 1e-4, 9.999999999999999e-5, 1e16, 9999999999999998.0, -1e15, 0.1, 1e21, 123456789012345.6, 5e-324]
    doubles = [*edges, *(draw.uniform(-1, 1) * 10.0 ** draw.randint(-8, 20) for _ in range(5_000))]
    assert [canonical(one) for one in doubles] == [rfc8785.dumps(one) for one in doubles]
