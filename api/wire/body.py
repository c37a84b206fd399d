"""What all request bodies have in common: strict models, and the way from a validation error to one clear refusal."""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError, PydanticKnownError, from_json

from core.bounded import MOST_NAMES, Bounded, at_most
from core.compact import dump
from core.errors import InvalidRequest

Model = TypeVar("Model", bound=BaseModel)
Element = TypeVar("Element")
ServiceTier = Literal["auto", "default", "fast", "flex", "priority", "scale", "ultrafast"]
"""A wish, at OpenAI too, which answers with the tier that served; here it is always the default one."""
CacheRetention = Literal["in_memory", "24h"]
Verbosity = Literal["low", "medium", "high"]
MOST_MISTAKES = 100
"""Of one body. That validation finds no more is for the fields to see to (`core.bounded`)."""
MOST_ELEMENTS = 10_000
"""Of any array, where nothing less is said. Each item of a request becomes a row, in a group that other turns wait for."""
MOST_OBJECTS = 25_000
"""Of one body, wherever they are. A part costs 15 to 25 us before its turn begins, and an item 40 to 90, measured."""
MOST_VALUES = 100_000
"""Elements of arrays and entries of objects of one body, all together."""
MOST_READINGS = 16
TOO_MANY_ELEMENTS = "array_above_max_length"


class Body(Bounded):
    """Nothing is coerced either. What OpenAI's objects have, and we do not, may be null: that is how they are written back."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_what_is_not_given(cls, value: Any) -> Any:
        if not isinstance(value, dict) or len(value) > MOST_NAMES or _NULLABLE.isdisjoint(value):
            return value
        left_out = [name for name in cls._nullable() if name in value and value[name] is None]
        return {name: given for name, given in value.items() if name not in left_out} if left_out else value

    @classmethod
    @cache
    def _nullable(cls) -> frozenset[str]:
        """But for its own parameters, which say themselves what null is."""
        return _NULLABLE - {field.alias or name for name, field in cls.model_fields.items()}


Array = Annotated[list[Element], Field(max_length=MOST_ELEMENTS, fail_fast=True)]
"""The first wrong element ends the check."""

Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=16, description="up to 16 pairs; keys of at most 64 and values of at most 512 characters"),
    at_most(16),
]


def _object(value: Any) -> Any:
    """What was read of JSON is JSON, but for numbers; the first that is none ends the check."""
    if not isinstance(value, dict):
        raise PydanticKnownError("dict_type")
    if (path := _infinite(value.items())) is not None:
        raise ValidationError.from_exception_data("JSON", [{"type": "finite_number", "loc": path, "input": math.inf}])
    return value


def _infinite(values: Iterable[tuple[str | int, Any]]) -> tuple[str | int, ...] | None:
    for step, value in values:
        path: tuple[str | int, ...] | None = None
        if isinstance(value, float):
            path = None if math.isfinite(value) else ()
        elif isinstance(value, dict):
            path = _infinite(value.items())
        elif isinstance(value, list):
            path = _infinite(enumerate(value))
        if path is not None:
            return (step, *path)
    return None


JsonObject = Annotated[dict[str, JsonValue], PlainValidator(_object, json_schema_input_type=dict[str, JsonValue])]
"""Any JSON object. Checked to the last number: `1e999` is no number that could be written again."""


def only(*neutral: Any) -> Any:
    """A parameter that clients send by habit: its neutral values mean what we do anyway, all others are refused by name."""

    def check(value: Any) -> Any:
        if any(value == allowed and type(value) is type(allowed) for allowed in neutral):
            return value
        shown = " or ".join(dump(allowed) for allowed in neutral)
        raise PydanticCustomError("unsupported_parameter", "only {shown} is supported here", {"shown": shown})

    return Annotated[Any, AfterValidator(check), WithJsonSchema({"enum": list(neutral)})]


def parse(model: type[Model], body: bytes) -> Model:
    """Raises InvalidRequest that says where the JSON is broken, or names the wrong parameter."""
    _refuse_too_many_elements(body)
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}", code="invalid_json") from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise refusal(error, value) from None


def _refuse_too_many_elements(body: bytes) -> None:
    """Before anything is made of them: 10 MB of `{},` take the parser a second, and what follows more."""
    shape = body
    if body.count(b"{") > MOST_OBJECTS or sum(body.count(mark) for mark in (b",", b"{", b"[")) > MOST_VALUES:
        shape = _shape(body)  # most of them may be text
    if shape.count(b"{") > MOST_OBJECTS or sum(shape.count(mark) for mark in (b",", b"{", b"[")) > MOST_VALUES:
        most = f"{MOST_OBJECTS} objects, and {MOST_VALUES} elements and entries"
        raise InvalidRequest(
            f"the body has too many elements: at most {most} are taken, all together", code="too_many_elements"
        )


def _shape(body: bytes) -> bytes:
    """Its commas and opening brackets, without those of strings. In steps that each are one call, whatever is in it."""
    quoted = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NO_SHAPE)
    # two strings between which nothing is count as one; what lies between others has a mark, so that more pieces are too many
    strings_apart = quoted.replace(b'""', b"").split(b'"', 2 * MOST_VALUES + 2)
    return b"".join(strings_apart[::2])


# OpenAI's parameters that we know and do not serve: told apart from misspellings.
# fmt: off
_UNSUPPORTED = frozenset({
    "access_programs", "allowed_callers", "async", "audio", "authorization", "caller", "connector_id", "container_id",
    "context", "context_management", "defer_loading", "external_web_access", "file_data", "file_id", "file_ids", "file_url",
    "filename", "function_call", "functions", "generate_summary", "headers", "image", "input_audio", "logit_bias",
    "memory_limit", "moderation", "namespace", "network_policy", "output_schema", "prediction",
    "prompt", "prompt_cache_breakpoint", "prompt_cache_options", "require_approval", "server_description", "server_url",
    "tunnel_id", "web_search_options",
})
# fmt: on
_NO_SHAPE = bytes(set(range(256)) - set(b',{["'))
_NULLABLE = _UNSUPPORTED | {"async_", "created_by", "name"}  # the SDK's own writing of one, and two that only answers have
_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "union_tag_not_found": "an object",
}
_CODES = {
    "literal_error": "unsupported_value",
    "union_tag_invalid": "unsupported_value",
    "unsupported_parameter": "unsupported_parameter",
    "unsupported_value": "unsupported_value",
}


def refusal(error: ValidationError, value: Any) -> InvalidRequest:
    """The mistake that lies deepest: of the ways in which a union was not met, it is the one that was meant."""
    if error.error_count() > MOST_MISTAKES:
        return InvalidRequest(f"more than {MOST_MISTAKES} mistakes: none is told by itself", code="too_many_mistakes")
    found = [(_path(detail, value), detail) for detail in error.errors(include_url=False)]
    depth = max(len(path) for path, _ in found)
    deepest = [(path, detail) for path, detail in found if len(path) == depth]
    meant = [(path, detail) for path, detail in deepest if not _is_type(detail)]
    unsupported = [
        (path, detail) for path, detail in meant if detail["type"] == "unsupported_parameter"
    ]  # what is missing may be its
    path, detail = [*unsupported, *meant, *deepest][0]
    if not _is_type(detail):
        return _refuse(path, detail, detail["msg"])
    alternatives = [_EXPECTED.get(other["type"], other["msg"]) for where, other in deepest if where == path]
    return _refuse(path, detail, "expected " + " or ".join(dict.fromkeys(alternatives)))


def _is_type(detail: ErrorDetails) -> bool:
    return detail["type"].endswith("_type") or _is_untaggable(detail)


def _is_untaggable(detail: ErrorDetails) -> bool:
    """No object where one of several kinds of objects should be."""
    return detail["type"] == "union_tag_not_found" and not isinstance(detail["input"], dict)


def _refuse(path: Sequence[str | int], detail: ErrorDetails, message: str) -> InvalidRequest:
    param = dotted(path) or None
    kind = detail["type"]
    if kind == "extra_forbidden":
        known = path[-1] in _UNSUPPORTED
        word, code = ("unsupported", "unsupported_parameter") if known else ("unknown", "unknown_parameter")
        return InvalidRequest(f"{word} parameter: {param!r}", param=param, code=code)
    if kind == "missing" or (kind == "union_tag_not_found" and not _is_untaggable(detail)):
        return InvalidRequest(f"missing required parameter: {param!r}", param=param, code="missing_required_parameter")
    if kind == "union_tag_invalid":
        context = detail["ctx"]
        message = f"{context['tag']!r} is not supported here; expected one of {context['expected_tags']}"
    if kind == "too_long" and isinstance(detail["input"], list):
        most, given = detail["ctx"]["max_length"], len(detail["input"])
        message = f"invalid {param!r}: expected an array of at most {most} elements, got one of {given}"
        return InvalidRequest(message, param=param, code=TOO_MANY_ELEMENTS)
    code = _CODES.get(kind) or ("invalid_type" if _is_type(detail) else "invalid_value")
    got = f", got {_name(detail['input'])}" if code == "invalid_type" else ""
    return InvalidRequest(f"invalid {param!r}: {message}{got}" if param else f"{message}{got}", param=param, code=code)


def _path(detail: ErrorDetails, value: Any) -> list[str | int]:
    """Pydantic's location without the names of union members, which mean nothing to the caller."""
    readings = islice(_readings(detail["loc"], value, missing=detail["type"] == "missing"), MOST_READINGS)
    first, _ = found = next(readings)
    path = next((path for path, end in (found, *readings) if end is detail["input"]), first)
    if detail["type"].startswith("union_tag") and not _is_untaggable(detail):
        path = [*path, detail["ctx"]["discriminator"].strip("'").removesuffix("()").removeprefix("by_")]
    return path


def _readings(location: Sequence[str | int], value: Any, *, missing: bool) -> Iterator[tuple[list[str | int], Any]]:
    """The paths that a location may mean, each with what is there: `function` may be a parameter of the object, or its kind.

    missing: the last step is not there; with the object that lacks it.
    """
    if not location or (missing and len(location) == 1):
        yield list(location), value
        return
    step, *rest = location
    element = isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value)
    there = element or (isinstance(value, dict) and step in value)
    if there:
        yield from (([step, *path], end) for path, end in _readings(rest, value[step], missing=missing))
    if not there or (isinstance(value, dict) and value.get("type") == step):
        yield from _readings(rest, value, missing=missing)


def dotted(path: Sequence[str | int]) -> str:
    """`input[2].content[0].type`"""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _name(value: Any) -> str:
    """What JSON calls it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
