"""JSON Schema (draft 2020-12) for what models and tools hand us. Knows no tool."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import jsonschema_rs

MESSAGE_CHARACTERS = 500
MISTAKES_READ = 100
EXPLAINED_CHARACTERS = 20_000
"""Of a value as JSON. All its mistakes are found before the first is told: a megabyte of them takes seconds, in which nothing
else runs."""
PATTERN_STEPS = 10_000
"""How often a regular expression may go back in one text before a value counts as not fitting. A value may hold many texts."""

MAPS_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
LISTS_OF_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
SCHEMAS = (
    *("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)
REFUSED_KEYWORDS = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor")
DRAFT = "https://json-schema.org/draft/2020-12/schema"
MOST_SCHEMAS = 10_000
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
    """A compiled schema. It never opens a file or an address: a reference leads inside the schema or is refused."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                dict(schema),
                retriever=_refuse_reference,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=PATTERN_STEPS),
            )
        except jsonschema_rs.ValidationError as exc:
            raise SchemaRefused(exc.message[:MESSAGE_CHARACTERS], exc.instance_path) from exc
        except ValueError as exc:
            raise SchemaRefused(str(exc)[:MESSAGE_CHARACTERS]) from exc

    def mistake(self, value: object) -> str | None:
        """None when the value fits; else what is wrong and where, in words that help a model to mend it."""
        try:
            if self._validator.is_valid(value):
                return None
            if (size := len(json.dumps(value))) > EXPLAINED_CHARACTERS:
                return f"what is wrong is told of {EXPLAINED_CHARACTERS} characters at most, and it has {size}"
            error = _most_telling(list(islice(self._validator.iter_errors(value), MISTAKES_READ)))
        except ValueError as exc:  # a lone surrogate, a number out of range: no JSON that could be checked
            return f"not checkable: {str(exc)[:MESSAGE_CHARACTERS]}"
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path).lstrip(".")
        message = error.message if len(error.message) <= MESSAGE_CHARACTERS else error.message[:MESSAGE_CHARACTERS] + "..."
        return f"{where}: {message}" if where else message


def _most_telling(errors: Sequence[Any]) -> Any:
    """The one that lies highest; of alternatives that all failed, what is wrong with the one that came closest."""
    error = min(errors, key=lambda error: len(error.instance_path))
    branches: Sequence[Sequence[Any]] = [branch for branch in getattr(error.kind, "context", ()) if branch]
    return _most_telling(min(branches, key=len)) if branches else error


def refuse_unbounded(schema: Mapping[str, Any]) -> None:
    """Raises SchemaRefused for a schema that recurses, leads elsewhere, or unfolds into more than can be checked in no time:
    each of ten definitions that names the one before it twice doubles the work.
    """
    _Unfolding(schema).weight(schema, ())


class _Unfolding:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._known: dict[str, int] = {}  # a reference and how many schemas it stands for
        self._open: list[str] = []

    def weight(self, schema: Any, path: Path) -> int:
        """How many schemas this one stands for, with what it refers to."""
        if not isinstance(schema, Mapping):
            return 1
        if len(path) > DEEPEST * 2 or len(self._open) > DEEPEST:
            raise SchemaRefused(f"nested deeper than {DEEPEST} schemas", path)
        _refuse_keywords(schema, path)
        total = 1 + sum(self.weight(inner, (*path, *step)) for step, inner in _inner(schema))
        if isinstance(reference := schema.get("$ref"), str):
            total += self._referred(reference, (*path, "$ref"))
        if total > MOST_SCHEMAS:
            raise SchemaRefused(f"it unfolds into more than {MOST_SCHEMAS} schemas", path)
        return total

    def _referred(self, reference: str, path: Path) -> int:
        if reference in self._open or reference in ("", "#"):
            raise SchemaRefused(f"{reference!r} leads to itself; a schema that recurses is refused", path)
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
    if schema.get("$schema", DRAFT) not in (DRAFT, f"{DRAFT}#"):
        raise SchemaRefused(f"only draft 2020-12 is taken: leave it out, or write {DRAFT!r}", (*path, "$schema"))


def _inner(schema: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """The schemas that one is made of, by where they are in it. A property may have the name of a keyword."""
    for keyword in MAPS_OF_SCHEMAS:
        if isinstance(named := schema.get(keyword), Mapping):
            yield from (((keyword, name), inner) for name, inner in named.items())
    for keyword in LISTS_OF_SCHEMAS:
        if isinstance(listed := schema.get(keyword), list):
            yield from (((keyword, place), inner) for place, inner in enumerate(listed))
    yield from (((keyword,), schema[keyword]) for keyword in SCHEMAS if keyword in schema)
