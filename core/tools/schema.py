"""JSON Schema (draft 2020-12) for what models and tools hand us. Knows no tool."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

MESSAGE_CHARACTERS = 500


class SchemaRefused(ValueError):
    """The schema itself is none; the message says why."""


def _refuse_reference(uri: str) -> Any:
    raise ValueError(f"references to other documents are refused: {uri[:200]!r}")


class Schema:
    """A compiled schema. It never opens a file or an address: a reference leads inside the schema or is refused."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            self._validator = jsonschema_rs.Draft202012Validator(dict(schema), retriever=_refuse_reference)
        except (ValueError, jsonschema_rs.ValidationError) as exc:
            raise SchemaRefused(str(exc)[:MESSAGE_CHARACTERS]) from exc
        self._schema = schema

    def mistake(self, value: object) -> str | None:
        """None when the value fits; else what is wrong and where, in words that help a model to mend it."""
        try:
            if self._validator.is_valid(value):
                return None
        except ValueError as exc:  # a lone surrogate, a number out of range: no JSON that could be checked
            return f"not checkable: {str(exc)[:MESSAGE_CHARACTERS]}"
        error = best_match(Draft202012Validator(self._schema).iter_errors(value))
        if error is None:
            return "does not fit its schema"
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
        message = error.message if len(error.message) <= MESSAGE_CHARACTERS else error.message[:MESSAGE_CHARACTERS] + "..."
        return f"{where}: {message}" if where else message
