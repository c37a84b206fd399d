"""Whether a model's answer keeps a strict JSON Schema. Schema and answer are a stranger's, so the work is counted before it is
done: twenty levels of a schema that recurses in two branches are a million checks, in one call that nothing can stop.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
from pydantic_core import from_json

from core.errors import InvalidRequest
from core.tools.arguments import ARGUMENTS_CHARACTERS
from core.tools.schema import PATTERN_STEPS, REFUSED_KEYWORDS, quick

MOST_CHECKS = 100_000
CHECKS_OF_PATTERN = 50
"""What a regular expression may take, in checks of a type."""
ENUM_OF_CHECK = 16
"""Values of an `enum` that are looked through in the time of one."""

LIMITS = ("recursion limit", "number out of range")
"""What the parser says of JSON that is too much for it."""
NOT_JSON = "the model's answer is not JSON, and the schema that the request has for it is strict"
NOT_FITTING = "the model's answer does not fit the schema that the request has for it, which is strict"
NOT_CHECKABLE = "the model's answer is too big, or its schema too involved, to check that it fits: it is strict"

IN_PLACE = ("not", "if", "then", "else")
LISTS_IN_PLACE = ("allOf", "anyOf", "oneOf")
OF_MEMBERS = ("additionalProperties", "unevaluatedProperties")
MEMBERS = ("properties", "patternProperties", "propertyNames", *OF_MEMBERS)
OF_ITEMS = ("items", "contains", "unevaluatedItems")
UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")


class StrictAnswer:
    """Says nothing of what the answer is: its verdict is kept where the text of an unstored turn is not."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises InvalidRequest for a schema whose checks cannot be counted."""
        _refuse_uncountable(schema)
        self._schema = schema

    def mistake(self, text: str) -> str | None:
        """None where the answer fits; else what is wrong, in words for the client."""
        if len(text) > ARGUMENTS_CHARACTERS:
            return NOT_CHECKABLE
        try:
            value = from_json(text, allow_inf_nan=False)
        except ValueError as exc:
            return NOT_CHECKABLE if any(limit in str(exc) for limit in LIMITS) else NOT_JSON
        try:
            json.dumps(value, allow_nan=False)
        except (ValueError, RecursionError) as exc:  # 1e999 is read as infinite
            return NOT_JSON if "Out of range float" in str(exc) else NOT_CHECKABLE
        try:
            validator = _compiled(self._schema)  # it follows every reference
            if not quick(self._schema, value):
                _Counter(self._schema).spend(self._schema, value)
            return None if validator.is_valid(value) else NOT_FITTING
        except (_TooMany, RecursionError, ValueError):
            return NOT_CHECKABLE


def _compiled(schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """For a verdict alone: to say what is wrong takes many times as long. Raises ValueError."""
    options = jsonschema_rs.FancyRegexOptions(backtrack_limit=PATTERN_STEPS)
    return jsonschema_rs.Draft202012Validator(dict(schema), retriever=_refuse_reference, pattern_options=options)


def _refuse_reference(uri: str) -> Any:
    raise ValueError(f"references to other documents are refused: {uri[:200]!r}")


class _TooMany(Exception):
    pass


class _Counter:
    """Counts as if each branch were looked at, errs high."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MOST_CHECKS

    def spend(self, schema: Any, value: Any) -> None:
        """Raises _TooMany, RecursionError."""
        self._take(1)
        if not isinstance(schema, Mapping):
            return
        self._take(CHECKS_OF_PATTERN * ("pattern" in schema) + len(schema.get("enum", ())) // ENUM_OF_CHECK)
        for _ in range(1 + any(keyword in schema for keyword in UNEVALUATED)):  # these ask the others again
            for inner in self._in_place(schema):
                self.spend(inner, value)
        if isinstance(value, dict) and any(keyword in schema for keyword in MEMBERS):
            self._take(len(value))
            for name, member in value.items():
                self._member(schema, name, member)
        elif isinstance(value, list):
            fixed = schema.get("prefixItems", ())
            each = [schema[keyword] for keyword in OF_ITEMS if keyword in schema]
            for n, item in enumerate(value if each else value[: len(fixed)]):
                for inner in (*fixed[n : n + 1], *each):
                    self.spend(inner, item)

    def _member(self, schema: Mapping[str, Any], name: str, member: Any) -> None:
        patterns = schema.get("patternProperties", {})
        self._take(CHECKS_OF_PATTERN * len(patterns))
        if "propertyNames" in schema:
            self.spend(schema["propertyNames"], name)
        named = schema.get("properties", {})
        for inner in (*([named[name]] if name in named else ()), *patterns.values()):
            self.spend(inner, member)
        for keyword in OF_MEMBERS:
            if keyword in schema:
                self.spend(schema[keyword], member)

    def _in_place(self, schema: Mapping[str, Any]) -> Iterator[Any]:
        if isinstance(reference := schema.get("$ref"), str):
            yield self._target(reference)
        yield from (schema[keyword] for keyword in IN_PLACE if keyword in schema)
        for keyword in LISTS_IN_PLACE:
            yield from schema.get(keyword, ())
        for keyword in ("dependentSchemas", "dependencies"):
            yield from schema.get(keyword, {}).values()

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found[int(name)] if isinstance(found, list) else found[name]
        return found

    def _take(self, checks: int) -> None:
        self._left -= checks
        if self._left < 0:
            raise _TooMany


def _refuse_uncountable(schema: Mapping[str, Any]) -> None:
    open_parts: list[Any] = [schema]
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, Mapping):
            reference, inside = part.get("$ref"), part is not schema
            elsewhere = isinstance(reference, str) and (
                "%" in reference or not (reference == "#" or reference.startswith("#/"))
            )
            named = any(isinstance(part.get(keyword), str) for keyword in REFUSED_KEYWORDS)
            if elsewhere or named or (inside and isinstance(part.get("$id"), str)):
                message = "a strict schema refers to itself by '#' and '#/...' alone, and no part of it has an '$id'"
                raise InvalidRequest(message, code="invalid_json_schema")
        open_parts += part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ()
