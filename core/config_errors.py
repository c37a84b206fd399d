"""Turns what a schema says is wrong with a configuration into lines that name file, line and key. It knows no setting."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.config_file import ConfigFile, Key, dotted

T = TypeVar("T", bound=BaseModel)


class Mistakes:
    """Collects them, so that an operator sees all at once. variables: which key came from which environment variable."""

    def __init__(self, file: ConfigFile, variables: Mapping[Key, str]) -> None:
        self.found: list[str] = []
        self._file = file
        self._variables = variables

    def add(self, key: Key, problem: str) -> None:
        line = f"{self._place(key)}: {problem}"
        if line not in self.found:
            self.found.append(line)

    def check(self, schema: type[T], values: Mapping[str, Any], at: Key = ()) -> T | None:
        """The values as `schema` understands them, or None when it does not."""
        try:
            return schema.model_validate(values, context=self._file.path.parent)
        except ValidationError as exc:
            self.add_all(exc, at, schema)
            return None

    def add_all(self, error: ValidationError, at: Key, schema: type[BaseModel] | None = None) -> None:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            inner: Key = tuple(
                part for part in detail["loc"] if not str(part).startswith("lax-or-strict[")
            )  # a union's own words
            match detail["type"]:
                case "extra_forbidden":
                    problem = f"unknown key{_suggestion(str(inner[-1]), _names(schema, inner[:-1]))}"
                case "missing":
                    problem = "is missing"
                case "tuple_type":
                    problem = "expected a list"
                case "ip_v4_network" | "ip_v6_network":
                    problem = "expected a network like '10.0.0.0/8'"
                case _:
                    problem = detail["msg"].removeprefix("Value error, ")
            self.add((*at, *inner), problem)

    def _place(self, key: Key) -> str:
        for end in range(len(key), 0, -1):
            if variable := self._variables.get(key[:end]):
                return variable
        return self._file.place(key) if self._file.lines else dotted(key)


def _suggestion(wrong: str, names: Collection[str]) -> str:
    close = get_close_matches(wrong, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known here: {', '.join(sorted(names))}" if names else ""


def _names(schema: type[BaseModel] | None, key: Key) -> Collection[str]:
    """The keys that may stand at `key`; none where that is not a section."""
    for part in key:
        field = schema.model_fields.get(str(part)) if schema else None
        inner = field.annotation if field else None
        schema = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return schema.model_fields.keys() if schema else ()
