"""JSON Schema (draft 2020-12) for what models and tools hand us. Knows no tool."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import jsonschema_rs

from core.compact import dump

MESSAGE_CHARACTERS = 500
PATTERN_STEPS = 10_000
"""How often a regular expression may go back in one text before a value counts as not fitting. A value may hold many texts."""
MOST_STEPS = 10_000_000
"""The values of what is checked, times the schemas that its schema stands for: a third of a second, and nothing else runs."""
MOST_MISTAKES = 20_000
"""Where no alternative fits, all that is wrong with each is found before the first mistake is told: as many values times
schemas, each with a copy of what it is about.
"""
COPIED_CHARACTERS = 500
"""Of a text that take as long to copy as another mistake takes to find."""
MOST_COPIED = 200_000
"""Values of which the one mistake may be, where there are no alternatives: a tenth of a second for the copy."""

SCHEMAS_BYTES = 1_000_000
SCHEMAS_TOGETHER = 20_000
REFERENCE = 4
"""As many schemas, by how long it takes to compile: a chain of them is followed from each of its ends."""
MOST_PATTERNS = 200
PATTERNS_CHARACTERS = 10_000
PATTERN_BYTES = 10_000_000
"""Compiled, which takes up to a tenth of a second: so many are `\\pL{200}` and `.{0,5000}`."""
PATTERNS_BYTES = 20_000_000
"""Of all together that may be large: that repeat something so and so often, or name a class of characters."""

MAPS_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
LISTS_OF_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
SCHEMAS = (
    *("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)
IN_PLACE = ("allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "dependencies")
"""Those whose schemas are about the value itself, not about what is in it."""
REFUSED_KEYWORDS = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor")
DRAFT = "https://json-schema.org/draft/2020-12/schema"
MOST_SCHEMAS = 10_000
EVALUATED_AGAIN = 3
"""How often a value's schemas are asked about it where what they leave over is asked for, measured."""
DEEPEST = 64

Path = tuple[str | int, ...]


class SchemaRefused(ValueError):
    """The schema itself is none; the message says why. path: the place in it."""

    def __init__(self, message: str, path: Sequence[str | int] = ()) -> None:
        super().__init__(message)
        self.path = tuple(path)


def _refuse_reference(uri: str) -> Any:
    raise ValueError(f"references to other documents are refused: {uri[:200]!r}")


class Schema:
    """A compiled schema. It never opens a file or an address: a reference leads inside the schema or is refused.

    pattern_bytes: of each pattern, compiled (see `Together`); None for a schema that was taken before. Raises SchemaRefused.
    """

    def __init__(self, schema: Mapping[str, Any], *, pattern_bytes: int | None = None) -> None:
        options = jsonschema_rs.FancyRegexOptions(backtrack_limit=PATTERN_STEPS, size_limit=pattern_bytes)
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                dict(schema), retriever=_refuse_reference, pattern_options=options
            )
        except jsonschema_rs.ValidationError as exc:
            larger = f", or one of more than {pattern_bytes} bytes" if pattern_bytes and exc.kind.name == "format" else ""
            raise SchemaRefused(exc.message[:MESSAGE_CHARACTERS] + larger, exc.instance_path) from exc
        except ValueError as exc:
            raise SchemaRefused(str(exc)[:MESSAGE_CHARACTERS]) from exc
        self._schema = schema

    @cached_property
    def _weights(self) -> tuple[int, int, int]:
        """How many schemas it stands for; the most that one choice among several stands for, and how often that recurses."""
        unfolding = _Unfolding(self._schema, recursing=True)
        recursions = _Unfolding(self._schema, recursing=True, unit=0)
        try:
            weight = unfolding.weight(self._schema, ())
            recursions.weight(self._schema, ())
        except SchemaRefused:  # it was taken by rules of before, or is a request's, which may be more than a tool's
            return MOST_SCHEMAS, MOST_SCHEMAS, 1
        return weight, unfolding.alternatives, max(recursions.alternatives, 1)

    def mistake(self, value: object) -> str | None:
        """None when the value fits; else what is wrong and where, in words that help a model to mend it."""
        values, characters, depth = _measured(value)
        weight, alternatives, recursions = self._weights
        if values * weight > MOST_STEPS:
            return f"it has {values} values; at most {MOST_STEPS // weight} are checked by a schema as large as this one"
        try:
            if self._validator.is_valid(value):
                return None
            copied = values + characters // COPIED_CHARACTERS
            if copied > MOST_COPIED or copied * alternatives * recursions**depth > MOST_MISTAKES:
                return (
                    "it does not fit; what is wrong is told where there are fewer values, or the schema has fewer alternatives"
                )
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as exc:
            return _told(_most_telling([exc]))
        except ValueError as exc:  # a lone surrogate, a number out of range: no JSON that could be checked
            return f"not checkable: {str(exc)[:MESSAGE_CHARACTERS]}"
        return "it does not fit"


def _measured(value: object) -> tuple[int, int, int]:
    """How many values it is, with those within; how many characters their texts have; how deep they lie."""
    values = characters = depth = 0
    level: list[Any] = [value]
    while level:
        values, depth = values + len(level), depth + 1
        below: list[Any] = []
        for found in filter(None, level):  # an empty one holds nothing
            kind = type(found)  # as a parser made it; to ask for subclasses too takes twice as long
            if kind is str:
                characters += len(found)
            elif kind is dict:
                below += found.values()
            elif kind is list:
                below += found
        level = below
    return values, characters, depth


def _told(error: Any) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path).lstrip(".")
    message = error.message if len(error.message) <= MESSAGE_CHARACTERS else error.message[:MESSAGE_CHARACTERS] + "..."
    return f"{where}: {message}" if where else message


def _most_telling(errors: Sequence[Any]) -> Any:
    """The one that lies highest; of alternatives that all failed, what is wrong with the one that came closest."""
    error = min(errors, key=lambda error: len(error.instance_path))
    branches: Sequence[Sequence[Any]] = [branch for branch in getattr(error.kind, "context", ()) if branch]
    return _most_telling(min(branches, key=len)) if branches else error


class Together:
    """Schemas that come at once, as those of a request do, and are compiled while nothing else runs: what that takes."""

    def __init__(self) -> None:
        self._bytes = self._schemas = 0
        self._patterns: set[str] = set()
        self._large = 0

    def add(self, schema: Mapping[str, Any]) -> None:
        """Raises SchemaRefused where they are too much with this one."""
        self._bytes += len(dump(schema))
        if self._bytes > SCHEMAS_BYTES:
            raise SchemaRefused(f"the schemas have more than {SCHEMAS_BYTES} bytes")
        for found in _everything(schema):
            self._schemas += REFERENCE if isinstance(found, Mapping) and "$ref" in found else 1
            if self._schemas > SCHEMAS_TOGETHER:
                raise SchemaRefused(f"they are more than {SCHEMAS_TOGETHER} schemas, where a reference counts as {REFERENCE}")
            if isinstance(found, Mapping):
                self._patterns.update(_patterns(found))
        programs = {pattern: len(_PROGRAMS.findall(pattern)) + 1 for pattern in self._patterns}
        self._large = sum(number for pattern, number in programs.items() if _LARGE.search(pattern))
        if sum(programs.values()) > MOST_PATTERNS or sum(map(len, self._patterns)) > PATTERNS_CHARACTERS:
            most = f"{MOST_PATTERNS} patterns, where each that looks ahead or behind counts as another"
            raise SchemaRefused(f"at most {most}, of {PATTERNS_CHARACTERS} characters together, are taken")

    @property
    def pattern_bytes(self) -> int:
        """What each pattern may be, compiled."""
        return min(PATTERN_BYTES, PATTERNS_BYTES // max(self._large, 1))


_PROGRAMS = re.compile(r"\(\?(?!:)|[+*?}]\+")
"""Beginnings of what is compiled on its own within a pattern: groups that look around, and repeats that give nothing back."""
_LARGE = re.compile(r"\{|\\[pPwWdDsSbBhHRX]|\[:|\(\?[a-zA-Z]*i|[^\x00-\x7f]")


MAY_HOLD_SCHEMAS = (dict, list, bool)


def _everything(schema: Mapping[str, Any]) -> Iterator[Any]:
    """All that may be a schema, also under names that are no keywords: a reference may lead there."""
    left: list[Any] = [schema]
    while left:
        found = left.pop()
        if isinstance(found, Mapping | bool):
            yield found
        if isinstance(found, Mapping):
            left.extend(value for value in found.values() if isinstance(value, MAY_HOLD_SCHEMAS))
        elif isinstance(found, list):
            left.extend(element for element in found if isinstance(element, MAY_HOLD_SCHEMAS))


def _patterns(found: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(pattern := found.get("pattern"), str):
        yield pattern
    if isinstance(named := found.get("patternProperties"), Mapping):
        yield from named


def refuse_unbounded(schema: Mapping[str, Any]) -> None:
    """Raises SchemaRefused for a schema that recurses, leads elsewhere, or unfolds into more than can be checked in no time:
    each of ten definitions that names the one before it twice doubles the work.
    """
    _Unfolding(schema).weight(schema, ())


def quick(schema: Mapping[str, Any], value: object) -> bool:
    """Whether a schema that does not recurse is asked so little about the value that nobody has to count it."""
    try:
        weight = _Unfolding(schema).weight(schema, ())
    except SchemaRefused:
        return False
    patterns = (pattern for found in _everything(schema) if isinstance(found, Mapping) for pattern in _patterns(found))
    if any(_GOES_BACK.search(pattern) for pattern in patterns):
        return False
    return _measured(value)[0] * weight <= MOST_STEPS


_GOES_BACK = re.compile(r"\(\?(?!:)|[+*?}]\+|\\[1-9kK]")
"""What only an engine that tries again and again can match."""


class _Unfolding:
    """recursing: whether a reference to what it is in is taken; it counts as one schema, as none is asked about the same value
    twice. unit: what each schema counts; with 0, references that recurse are all that is counted.

    alternatives: the most that one choice among several stands for.
    """

    def __init__(self, root: Mapping[str, Any], *, recursing: bool = False, unit: int = 1) -> None:
        self._root = root
        self._recursing = recursing
        self._unit = unit
        self._known: dict[str, int] = {}  # a reference and how many schemas it stands for
        self._open: list[str] = []
        self.alternatives = 0

    def weight(self, schema: Any, path: Path) -> int:
        """How many schemas this one stands for, with what it refers to."""
        if not isinstance(schema, Mapping):
            return self._unit
        if len(path) > DEEPEST * 2 or len(self._open) > DEEPEST:
            raise SchemaRefused(f"nested deeper than {DEEPEST} schemas", path)
        _refuse_keywords(schema, path)
        if not self._recursing:
            _refuse_draft(schema, path)
        again = EVALUATED_AGAIN if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1
        total, alternatives = self._unit * (1 + _compared(schema)), 0
        for step, inner in _inner(schema):
            weight = self.weight(inner, (*path, *step)) * (again if step[0] in IN_PLACE else 1)
            total += weight
            alternatives += weight if step[0] in ("anyOf", "oneOf") else 0
        if isinstance(reference := schema.get("$ref"), str):
            total += self._referred(reference, (*path, "$ref")) * again
        self.alternatives = max(self.alternatives, alternatives)
        if total > MOST_SCHEMAS:
            raise SchemaRefused(f"it unfolds into more than {MOST_SCHEMAS} schemas", path)
        return total

    def _referred(self, reference: str, path: Path) -> int:
        if reference in self._open or reference in ("", "#"):
            if not self._recursing:
                raise SchemaRefused(f"{reference!r} leads to itself; a schema that recurses is refused", path)
            return 1
        if reference not in self._known:
            self._open.append(reference)
            self._known[reference] = self.weight(self._target(reference, path), path)
            self._open.pop()
        return self._known[reference]

    def _target(self, reference: str, path: Path) -> Any:
        if not reference.startswith("#/") or "%" in reference:  # what validates reads `%61` as `a`
            raise SchemaRefused(f"only references within the schema, like '#/$defs/name', are taken: {reference[:200]!r}", path)
        found: Any = self._root
        for step in reference.removeprefix("#/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and len(name) < 10 and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, Mapping) and name in found:
                found = found[name]
            else:
                raise SchemaRefused(f"{reference[:200]!r} leads to nothing", path)
        return found


def _refuse_keywords(schema: Mapping[str, Any], path: Path) -> None:
    """Those that would make another schema of it than the one that is checked. The whole may have a name of its own."""
    refused = (*REFUSED_KEYWORDS, "$id") if path else REFUSED_KEYWORDS
    if keyword := next((word for word in refused if word in schema), None):
        raise SchemaRefused(f"{keyword!r} is not taken", (*path, keyword))


def _refuse_draft(schema: Mapping[str, Any], path: Path) -> None:
    if schema.get("$schema", DRAFT) not in (DRAFT, f"{DRAFT}#"):
        raise SchemaRefused(f"only draft 2020-12 is taken: leave it out, or write {DRAFT!r}", (*path, "$schema"))


def _compared(schema: Mapping[str, Any]) -> int:
    """What an enumeration takes: numbers and texts are looked up, all else is compared with one after the other."""
    values = schema.get("enum")
    return len(values) if isinstance(values, list) and any(isinstance(value, list | Mapping) for value in values) else 0


def _inner(schema: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """The schemas that one is made of, by where they are in it. A property may have the name of a keyword."""
    for keyword in MAPS_OF_SCHEMAS:
        if isinstance(named := schema.get(keyword), Mapping):
            yield from (((keyword, name), inner) for name, inner in named.items())
    for keyword in LISTS_OF_SCHEMAS:
        if isinstance(listed := schema.get(keyword), list):
            yield from (((keyword, place), inner) for place, inner in enumerate(listed))
    yield from (((keyword,), schema[keyword]) for keyword in SCHEMAS if keyword in schema)
