"""The arguments of a call, from the text that a model, a human or code wrote."""

import json
import math
from collections import Counter
from typing import Any

from pydantic_core import from_json

from core.tools.definition import ToolVersion

ARGUMENTS_CHARACTERS = 1_000_000


class ToolCallRejected(Exception):
    """The call cannot run as asked; the message is written for the model."""


def arguments_of(version: ToolVersion, given: str) -> dict[str, Any]:
    """What the tool takes, of the JSON that was given. Raises ToolCallRejected."""
    arguments = _arguments(given)
    if mistake := version.arguments_schema.mistake(arguments):
        raise ToolCallRejected(f"arguments do not fit the schema of {version.name!r}: {mistake}")
    return arguments


def _arguments(given: str) -> dict[str, Any]:
    if len(given) > ARGUMENTS_CHARACTERS:
        raise ToolCallRejected(f"arguments have {len(given)} characters; at most {ARGUMENTS_CHARACTERS} are taken")
    text = given or "{}"
    try:
        from_json(text, allow_inf_nan=False)  # refuses lone surrogates and what is nested too deep, which `json` does not
        arguments = _DECODER.decode(text)
    except (ValueError, TypeError) as exc:  # TypeError: half a surrogate pair as it is, which no text has
        raise ToolCallRejected(f"arguments are not JSON: {exc}") from exc
    if not isinstance(arguments, dict):
        raise ToolCallRejected(f"arguments must be a JSON object, not {type(arguments).__name__}")
    return arguments


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name a reader may see the one and the tool get the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the name {Counter(name for name, _ in pairs).most_common(1)[0][0][:100]!r} is given twice")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:100]!r} is out of range")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_each_once, parse_float=_finite)
