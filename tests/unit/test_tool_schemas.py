"""What a schema of a tool may be: checkable in no time, and closed in itself."""

from typing import Any

import pytest

from core.tools.schema import Schema, SchemaRefused, Together, refuse_unbounded


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


def items(schema: dict[str, Any]) -> dict[str, Any]:
    return {"properties": {"values": {"type": "array", "items": schema}}}


@pytest.mark.parametrize("times", [1_000, 100_000])
def test_the_first_mistake_of_many_is_told_and_none_but_that_is_made(times: int) -> None:
    """All the mistakes in a megabyte take seconds and gigabytes, while the server does nothing else."""
    schema = Schema(items({"type": "number"}))
    assert schema.mistake({"values": [""] * times}) == 'values[0]: "" is not of type "number"'
    assert schema.mistake({"values": [1] * times}) is None


def test_a_mistake_that_is_most_of_a_huge_value_is_not_copied_to_tell_it() -> None:
    """A copy of four megabytes takes most of a second, while the server does nothing else."""
    assert Schema({"type": "object"}).mistake([[]] * 100_000) is not None
    for schema in ({"type": "object"}, {"uniqueItems": True}, {"maxItems": 3}):
        assert "fewer values" in str(Schema(schema).mistake([[]] * 300_000))
    assert Schema({"type": "array"}).mistake([[]] * 300_000) is None


def test_of_alternatives_what_is_wrong_is_told_where_it_is_little() -> None:
    """All that is wrong with each of them is found before the first of it is told."""
    schema = Schema(items({"anyOf": [{"items": {"allOf": [{"type": "string"}] * 100}}, {"type": "null"}]}))
    assert schema.mistake({"values": [[1] * 10]}) == 'values[0]: [1,1,1,1,1,1,1,1,1,1] is not of type "null"'
    assert "fewer values" in str(schema.mistake({"values": [[1] * 1_000]}))
    assert schema.mistake({"values": [["a"] * 1_000]}) is None
    texts = Schema({"anyOf": [{"type": "number"}] * 1_000})
    assert texts.mistake("a" * 100) is not None
    assert "fewer values" in str(texts.mistake("a" * 20_000))


def test_more_values_than_can_be_checked_in_no_time_are_refused_with_how_many_can() -> None:
    schema = Schema(items({"allOf": [{"type": "string"}] * 997}))
    assert schema.mistake({"values": ["a"] * 9_000}) is None
    assert schema.mistake({"values": ["a"] * 20_000}) == (
        "it has 20002 values; at most 10000 are checked by a schema as large as this one"
    )


def evaluating(times: int) -> dict[str, Any]:
    """What each leaves over is asked for by asking again what is in it: with each the work is three times as much."""
    schema: dict[str, Any] = {"properties": {"x": True}}
    for _ in range(times):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    return schema


def test_schemas_that_are_asked_again_for_what_is_left_over_count_each_time() -> None:
    refuse_unbounded(evaluating(6))
    with pytest.raises(SchemaRefused, match="unfolds"):
        refuse_unbounded(evaluating(12))
    taken_before = Schema(evaluating(12))
    assert taken_before.mistake({"x": 1}) is None
    assert "at most 1000" in str(taken_before.mistake({"x": [1] * 2_000}))


def test_objects_that_a_value_is_compared_with_count() -> None:
    schema = Schema({"items": {"not": {"enum": [{"a": number} for number in range(3_000)]}}})
    assert schema.mistake([{"a": -1}] * 10) is None
    assert "are checked" in str(schema.mistake([{"a": -1}] * 5_000))


TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {side: {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]} for side in ("left", "right")},
            "required": ["value"],
        }
    },
    "$ref": "#/$defs/node",
}


def test_a_schema_that_recurses_is_checked_and_what_is_wrong_is_told_of_what_is_not_deep() -> None:
    """With alternatives in alternatives the mistakes would double with each level."""
    schema = Schema(TREE)
    tree: dict[str, Any] = {}
    assert schema.mistake({"value": 1, "left": tree}) == 'left: "value" is a required property'
    for _ in range(40):
        tree = {"value": 1, "left": tree, "right": None}
    assert "fewer values" in str(schema.mistake(tree))
    assert schema.mistake({"value": 1, "left": {"value": 2}}) is None


def test_what_was_taken_by_rules_of_before_is_still_compiled() -> None:
    assert Schema({"pattern": r"^\pL{99}$"}).mistake("a") is not None
    assert Schema({"allOf": [{"pattern": f"{number}$"} for number in range(400)]}).mistake("a") is not None


@pytest.mark.parametrize(
    ("schemas", "why"),
    [
        ([{"pattern": r"(?=\pL{999})"}], 'not a "regex", or one of more than 10000000 bytes'),
        ([{"pattern": rf"\pL{{9}}{number}"} for number in range(100)], "more than 200000 bytes"),
        ([{"patternProperties": {f"{number}": {}}} for number in range(201)], "at most 200 patterns"),
        ([{"pattern": "(?=a)(?!b)" * 101}], "at most 200 patterns"),
        ([{"pattern": "a" * 10_001}], "10000 characters"),
        ([{"$ref": "#/x"} | {"x": {"allOf": [{"pattern": f"{number}"} for number in range(201)]}}], "at most 200 patterns"),
        ([{"description": "x" * 600_000}] * 2, "1000000 bytes"),
        ([{"properties": {f"{number}": {} for number in range(150)}}] * 140, "more than 20000 schemas"),
        ([{"allOf": [True] * 20_001}], "more than 20000 schemas"),
        ([chain(5_100)], "more than 20000 schemas"),
    ],
    ids=range(10),
)
def test_schemas_that_would_take_long_to_compile_together_are_refused(schemas: list[dict[str, Any]], why: str) -> None:
    together = Together()

    def compile_all() -> None:
        for schema in schemas:
            together.add(schema)
        for schema in schemas:
            Schema(schema, pattern_bytes=together.pattern_bytes)

    with pytest.raises(SchemaRefused, match=why):
        compile_all()


@pytest.mark.parametrize("pattern", [r"^\pL{20}$", r"^.{1,500}$", r"^[a-zA-Z0-9_]{1,1000}$", r"^[^@\s]+@[^@\s]+\.[^@\s]+$"])
def test_a_pattern_of_ordinary_size_is_taken(pattern: str) -> None:
    together = Together()
    together.add({"pattern": pattern})
    Schema({"pattern": pattern}, pattern_bytes=together.pattern_bytes)


def test_one_pattern_in_many_schemas_counts_once() -> None:
    decimal = {"pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}
    together = Together()
    for _ in range(128):
        together.add({"properties": {f"p{number}": decimal for number in range(10)}})
    Schema(decimal, pattern_bytes=together.pattern_bytes)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^.{1,2000}$",
        r"^https?://.{1,2048}$",
        r"^[\s\S]{0,2048}$",
        r"^\S{1,1024}$",
        r"^[\p{L}\p{M} .'-]{1,50}$",
        r"^[a-z]{1,10000}$",
    ],
)
def test_what_bounds_a_length_is_an_ordinary_pattern(pattern: str) -> None:
    together, schema = Together(), {"allOf": [{"pattern": pattern}, *({"pattern": f"^x{number}$"} for number in range(30))]}
    together.add(schema)
    Schema(schema, pattern_bytes=together.pattern_bytes)
