"""What a schema of a tool may be: checkable in no time, and closed in itself."""

from typing import Any

import pytest

from core.tools.schema import Schema, SchemaRefused, refuse_unbounded


def doubling(times: int) -> dict[str, Any]:
    """Each definition names the one before it twice."""
    before = [{"$ref": f"#/$defs/d{n}"} for n in range(times)]
    return {"$ref": f"#/$defs/d{times}", "$defs": {"d0": {}, **{f"d{n + 1}": {"allOf": [r, r]} for n, r in enumerate(before)}}}


def depending(times: int) -> dict[str, Any]:
    """As `doubling`, by a keyword of older drafts that is obeyed all the same."""
    pairs = [[{"$ref": f"#/$defs/d{n + 1}"}] * 2 for n in range(times)]
    defs = {f"d{n}": {"dependencies": {"k": {"allOf": pair}}} for n, pair in enumerate(pairs)}
    return {"properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": {**defs, f"d{times}": {}}}


def chain(length: int) -> dict[str, Any]:
    return {"$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(length)} | {f"d{length}": {}}}


@pytest.mark.parametrize(
    ("schema", "path", "why"),
    [
        ({"$ref": "#"}, ("$ref",), "recurses"),
        ({"properties": {"x": {"$ref": "#/properties/x"}}}, ("properties", "x", "$ref", "$ref"), "recurses"),
        (
            {"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/a"}}}},
            ("$defs", "a", "items", "$ref", "not", "$ref", "items", "$ref"),
            "recurses",
        ),
        (
            {"allOf": [{}], "properties": {"x": {"$ref": f"#/allOf/{'1' * 5000}"}}},
            ("properties", "x", "$ref"),
            "leads to nothing",
        ),
        ({"properties": {"x": {"$ref": "http://10.0.0.1/schema"}}}, ("properties", "x", "$ref"), "within the schema"),
        ({"properties": {"x": {"$ref": "file:///etc/passwd"}}}, ("properties", "x", "$ref"), "within the schema"),
        ({"properties": {"x": {"$ref": "other.json#/x"}}}, ("properties", "x", "$ref"), "within the schema"),
        ({"properties": {"x": {"$ref": "#/$defs/nothing"}}}, ("properties", "x", "$ref"), "leads to nothing"),
        ({"properties": {"x": {"$dynamicRef": "#x"}}}, ("properties", "x", "$dynamicRef"), "not taken"),
        ({"$dynamicRef": "#"}, ("$dynamicRef",), "not taken"),
        ({"$recursiveRef": "#"}, ("$recursiveRef",), "not taken"),
        ({"$dynamicAnchor": "x"}, ("$dynamicAnchor",), "not taken"),
        ({"items": {"$id": "http://elsewhere/", "$ref": "#/x"}}, ("items", "$id"), "not taken"),
        ({"$schema": "file:///etc/passwd"}, ("$schema",), "only draft 2020-12"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, ("$schema",), "only draft 2020-12"),
        ({"$schema": ["x"]}, ("$schema",), "only draft 2020-12"),
        ({"$schema": None}, ("$schema",), "only draft 2020-12"),
        ({"not": {"$schema": "http://json-schema.org/draft-04/schema"}}, ("not", "$schema"), "only draft 2020-12"),
        (doubling(40), ("$ref",), "unfolds"),
        (chain(5_000), None, "nested deeper"),
        ({"$defs": {"%61": {}, "a": {}}, "$ref": "#/$defs/%61"}, ("$ref",), "within the schema"),
        (depending(16), ("properties", "x", "$ref"), "unfolds"),
    ],
    ids=range(22),
)
def test_a_schema_that_leads_elsewhere_or_has_no_end_is_refused_where_it_does(
    schema: dict[str, Any], path: tuple[str, ...] | None, why: str
) -> None:
    with pytest.raises(SchemaRefused, match=why) as refused:
        refuse_unbounded(schema)
    if path is not None and why != "unfolds":
        assert refused.value.path == path


def test_references_to_definitions_are_taken_and_a_property_may_be_called_like_a_keyword() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.com/double",
        "type": "object",
        "properties": {"$ref": {"type": "string"}, "items": {"$ref": "#/$defs/text"}, "enum": {"enum": [{"$ref": "#"}]}},
        "$defs": {"text": {"type": "string"}},
    }
    refuse_unbounded(schema)
    assert Schema(schema).mistake({"items": 3}) == 'items: 3 is not of type "string"'


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"properties": {"x": {"type": "strnig"}}}, ("properties", "x", "type")),
        ({"properties": []}, ("properties",)),
        ({"required": "x"}, ("required",)),
        ({"properties": {"x": {"pattern": "("}}}, ("properties", "x", "pattern")),
    ],
)
def test_a_schema_that_is_none_is_refused_where_it_is_wrong(schema: dict[str, Any], path: tuple[str, ...]) -> None:
    with pytest.raises(SchemaRefused) as refused:
        Schema(schema)
    assert refused.value.path == path


def test_of_alternatives_that_all_failed_a_model_is_told_what_the_closest_wanted() -> None:
    schema = Schema({"properties": {"x": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}})
    assert schema.mistake({"x": "1"}) == 'x: "1" is not of type "integer"'


def test_a_pattern_that_goes_back_for_ever_ends() -> None:
    schema = Schema({"type": "string", "pattern": r"(?=a)^(a|aa)+\1$"})
    assert schema.mistake("a" * 60 + "b") is not None  # without a bound it takes longer than the universe has


@pytest.mark.parametrize(("length", "fits"), [(14, True), (18, False)])
def test_a_pattern_may_go_back_less_often_than_would_take_long_in_many_texts(length: int, fits: bool) -> None:
    schema = Schema({"type": "array", "items": {"pattern": r"(?=a)^(?:(a|aa)+\1c|.*)$"}})
    assert (schema.mistake(["a" * length + "b"] * 3) is None) == fits


@pytest.mark.parametrize(("times", "told"), [(1_000, 'values[0]: "" is not of type "number"'), (10_000, "at most")])
def test_what_is_wrong_is_told_of_what_is_not_too_large(times: int, told: str) -> None:
    """All the mistakes in a megabyte take seconds to find, in which the server does nothing else."""
    schema = Schema({"properties": {"values": {"type": "array", "items": {"type": "number"}}}})
    assert told in str(schema.mistake({"values": [""] * times}))
    assert schema.mistake({"values": [1] * times}) is None
