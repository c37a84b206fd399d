"""Text with `{argument}` and `{secret:NAME}` in it. `{{` and `}}` are braces. Knows no HTTP."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PIECE = re.compile(
    r"(?P<brace>\{\{|\}\})|\{(?P<name>[A-Za-z_][A-Za-z0-9_-]*)\}|\{secret:(?P<secret>[A-Za-z0-9_]+)\}|(?P<stray>[{}])"
)


@dataclass(frozen=True, slots=True)
class Argument:
    name: str


@dataclass(frozen=True, slots=True)
class Secret:
    name: str


Part = str | Argument | Secret


class Absent(Exception):
    """An argument that the template needs was not given."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Template:
    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Raises ValueError."""
        return cls(tuple(_parts(text)))

    @property
    def arguments(self) -> set[str]:
        return {part.name for part in self.parts if isinstance(part, Argument)}

    @property
    def secrets(self) -> set[str]:
        return {part.name for part in self.parts if isinstance(part, Secret)}

    def fill(self, arguments: Mapping[str, Any], quote: Callable[[str], str]) -> "Template":
        """With the arguments in their places, each quoted; secrets stay. Raises Absent."""
        return Template(
            tuple(quote(_text(arguments, part.name)) if isinstance(part, Argument) else part for part in self.parts)
        )

    def value(self, arguments: Mapping[str, Any]) -> Any:
        """A template that is one argument keeps its type; any other is text. Raises Absent."""
        match self.parts:
            case (Argument(name),):
                return _given(arguments, name)
            case _:
                return self.fill(arguments, str).reveal({})

    def reveal(self, secrets: Mapping[str, str]) -> str:
        """The text of a filled template."""
        return "".join(secrets[part.name] if isinstance(part, Secret) else str(part) for part in self.parts)


def _parts(text: str) -> Iterator[Part]:
    end = 0
    for found in PIECE.finditer(text):
        if found.start() > end:
            yield text[end : found.start()]
        end = found.end()
        if found["stray"]:
            raise ValueError(f"a lone {found['stray']!r} at character {found.start() + 1}; braces are written twice")
        if found["brace"]:
            yield found["brace"][0]
        else:
            yield Argument(found["name"]) if found["name"] else Secret(found["secret"])
    if end < len(text):
        yield text[end:]


def _given(arguments: Mapping[str, Any], name: str) -> Any:
    if name not in arguments:
        raise Absent(name)
    return arguments[name]


def _text(arguments: Mapping[str, Any], name: str) -> str:
    """Text as it is, everything else as JSON."""
    value = _given(arguments, name)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
