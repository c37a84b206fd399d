"""A strict schema is a promise: an answer that breaks it is told as a failure, and checking one takes no time to speak of."""

import json
from typing import Any

import pytest

from core.conversations.strict_answer import NOT_CHECKABLE, NOT_FITTING, NOT_JSON, StrictAnswer
from core.errors import InvalidRequest

TREE = {
    "type": "object",
    "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["kids"],
    "additionalProperties": False,
}
TWICE = {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}, "required": ["x"]}
DOUBLING = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"type": "integer"}, TWICE, {**TWICE, "maxProperties": 3}]}}}
AGAIN = {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"x": {"$ref": "#/$defs/a"}}, "unevaluatedProperties": False}}}


DAY = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
ROW = {"type": "object", "properties": {"from": DAY, "to": DAY, "sku": {"pattern": "^[A-Z]{2}-[0-9]+$"}}, "required": ["sku"]}


def nested(depth: int) -> str:
    return '{"x":' * depth + '"no"' + "}" * depth


@pytest.mark.parametrize(
    ("schema", "text", "mistake"),
    [
        (TREE, '{"kids":[{"kids":[]}]}', None),
        (TREE, '{"kids":[{"kid":[]}]}', NOT_FITTING),
        ({"type": "integer"}, " 12 \n", None),
        ({"type": "integer"}, "1" + "0" * 40, None),
        ({"type": "integer"}, "12 apples", NOT_JSON),
        ({}, "", NOT_JSON),
        ({"type": "number"}, "1e999", NOT_JSON),
        ({"type": "number"}, "NaN", NOT_JSON),
        ({"type": "string"}, '"\\ud800"', NOT_JSON),
        ({"type": "array"}, "[" * 100_000, NOT_CHECKABLE),
        (TREE, '{"kids":[' * 101 + "]}" * 101, NOT_CHECKABLE),
        ({"type": "integer"}, "1" * 5_000, NOT_CHECKABLE),
        ({"allOf": [{"type": "array"}] * 9_000}, "[" + "0," * 4_000 + "0]", None),
        (
            {"type": "array", "items": ROW},
            json.dumps([{"from": "2026-01-01", "to": "2026-12-31", "sku": "AB-1"}] * 3_000),
            None,
        ),
        ({"type": "array"}, "[" + "1," * 10_000 + "1]", None),
        ({"type": "array", "items": {"pattern": "(a+)+(?<!b)$"}}, "[" + '"aaaa",' * 100_000 + "1]", NOT_CHECKABLE),
        ({}, " " * 1_000_000 + "1", NOT_CHECKABLE),
        ({"$ref": "#"}, "1", NOT_CHECKABLE),
        (DOUBLING, nested(3), NOT_FITTING),
        (DOUBLING, nested(60), NOT_CHECKABLE),
        (AGAIN, nested(60), None),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "null"}, "null", None),
    ],
    ids=range(22),
)
def test_an_answer_is_checked(schema: dict[str, Any], text: str, mistake: str | None) -> None:
    assert StrictAnswer(schema).mistake(text) == mistake


@pytest.mark.parametrize(
    "part",
    [{"$dynamicRef": "#a"}, {"$dynamicAnchor": "a"}, {"$ref": "#a"}, {"$ref": "#/%61"}, {"$id": "urn:x"}],
    ids=lambda part: next(iter(part)),
)
def test_a_schema_whose_checks_cannot_be_counted_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="strict schema"):
        StrictAnswer({"properties": {"a": part}})
    StrictAnswer({"properties": {name: {} for name in part}, "$id": "urn:whole"})
