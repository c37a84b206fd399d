"""Reads a YAML file into plain values and remembers each one's line. It knows no setting."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from core.errors import ConfigurationError

Key = tuple[str | int, ...]

LARGEST_BYTES = 2**20
VARIABLE = re.compile(r"\$(?:(?P<escaped>\$\{)|\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}|(?P<wrong>\{))")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """values: plain lists, dictionaries and scalars. lines: where each key and each entry of a list is written."""

    path: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[Key, int] = field(default_factory=dict)

    def place(self, key: Key) -> str:
        """`paddock.yaml line 7: models[0].name`; the line of what it is in, for a key that is not there."""
        line = next((self.lines[key[:end]] for end in range(len(key), -1, -1) if key[:end] in self.lines), 1)
        return f"{self.path} line {line}: {dotted(key)}".removesuffix(": ")


def dotted(key: Key) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def read_config_file(path: Path, environment: Mapping[str, str]) -> ConfigFile:
    """`${NAME}` and `${NAME:-default}` in values become what `environment` has; `$${` is a plain `${`.

    Raises `ConfigurationError` with file, line and key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc}") from exc
    if len(text) > LARGEST_BYTES:
        raise ConfigurationError(f"{path}: larger than {LARGEST_BYTES} bytes")
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as exc:  # a character that YAML forbids
        raise ConfigurationError(f"{path}: {exc}") from exc
    try:
        root = loader.get_single_node()
        reader = _Reader(path, loader, environment)
        values = {} if root is None else reader.value(root, (), ())
    except RecursionError as exc:
        raise ConfigurationError(f"{path}: nested too deeply") from exc
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f"{path} line {mark.line + 1}" if mark else str(path)
        raise ConfigurationError(f"{place}: {exc.problem or exc.context}") from exc
    finally:
        loader.dispose()
    if values is not None and not isinstance(values, dict):
        raise ConfigurationError(f"{path} line 1: expected `name: value` lines, found {type(values).__name__}")
    return ConfigFile(path=path, values=values or {}, lines=reader.lines)


class _Reader:
    def __init__(self, path: Path, loader: yaml.SafeLoader, environment: Mapping[str, str]) -> None:
        self.path = path
        self.loader = loader
        self.environment = environment
        self.lines: dict[Key, int] = {}

    def value(self, node: yaml.Node, key: Key, inside: tuple[yaml.Node, ...]) -> Any:
        self.lines.setdefault(key, node.start_mark.line + 1)
        if node in inside:
            raise self.wrong(key, "refers to itself")
        match node:
            case yaml.MappingNode():
                return self.mapping(node, key, (*inside, node))
            case yaml.SequenceNode():
                entries = enumerate(node.value)
                return [self.value(entry, (*key, index), (*inside, node)) for index, entry in entries]
            case _:
                value = self.constructed(node)
                return self.substituted(value, key) if isinstance(value, str) else value

    def mapping(self, node: yaml.MappingNode, key: Key, inside: tuple[yaml.Node, ...]) -> dict[str, Any]:
        self.loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = str(self.constructed(name_node))
            inner = (*key, name)
            if name in values:
                raise self.wrong(inner, f"is written twice (line {name_node.start_mark.line + 1} too)")
            self.lines[inner] = name_node.start_mark.line + 1
            values[name] = self.value(value_node, inner, inside)
        return values

    def constructed(self, node: yaml.Node) -> Any:
        try:
            return self.loader.construct_object(node)
        except (ValueError, LookupError, AttributeError) as exc:  # PyYAML's own, of what only looks like a number or a time
            kind = node.tag.rpartition(":")[2]
            problem = f"expected a valid {kind}; quote it where it is a text"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark) from exc

    def substituted(self, text: str, key: Key) -> str:
        def replace(found: re.Match[str]) -> str:
            if found["escaped"]:
                return "${"
            if found["wrong"]:
                raise self.wrong(key, "expected ${NAME} or ${NAME:-default}; write $${ for a plain ${")
            value = self.environment.get(found["name"])
            if value is None and found["default"] is None:
                raise self.wrong(
                    key,
                    f"the environment variable {found['name']} is not set; "
                    f"set it, or give a default with ${{{found['name']}:-...}}",
                )
            return value or found["default"] or ""

        return VARIABLE.sub(replace, text)

    def wrong(self, key: Key, problem: str) -> ConfigurationError:
        place = ConfigFile(path=self.path, lines=self.lines).place(key)
        return ConfigurationError(f"{place}: {problem}")
