"""JSON Schema to llama.cpp's grammar notation: narrower or wider where it has to be, since what is promised is validated.

llama.cpp answers unconstrained when a grammar does not parse, and some schemas crash or bloat it. So only what is listed here
is translated: no text of the schema but constants and property names gets into a grammar, lengths are bounded, sizes counted.
Narrower never means that nothing valid is left: keywords that stand beside each other, and not only narrow, get any value.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from core.fleet.agent.ways import Ways

RULES = 2000
TEXT = 64 * 2**10
DEPTH = 64
STRING_LENGTH = 100
ARRAY_LENGTH = 50
WAYS = 500
"""What llama.cpp follows in some 50 ms a token; see `ways`."""

PRIMITIVES = r"""
ws ::= | " " | "\n" [ \t]{0,20}
boolean ::= "true" | "false"
null ::= "null"
digits ::= [0-9]{1,19}
integer ::= "-"? ("0" | [1-9] [0-9]{0,18})
number ::= integer ("." digits)? ([eE] [-+]? [0-9]{1,2})?
hex ::= [0-9a-fA-F]
char ::= [^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-CefEF] hex | [dD] [0-7]) hex hex)
string ::= "\"" char* "\""
array ::= "[" ws (value ("," ws value)*)? ws "]"
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? ws "}"
value ::= object | array | string | number | boolean | null
"""
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")

ELSEWHERE = ("$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "if", "then", "else", "dependentSchemas", "dependentRequired")
"""What a value has to be is said in another schema as well."""
INSIDE = ("properties", "required", "patternProperties", "additionalProperties", "minProperties", "items", "prefixItems")
"""What must, or alone may, be in a value: two schemas that say so are one grammar only when they know of each other."""

ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
Tools = Mapping[str, Mapping[str, Any]]
"""A tool's name -> the schema of its arguments."""


class Untranslatable(Exception):
    """The schema is too big, too deep, too ambiguous, refers to nothing or accepts nothing."""


def for_answer(schema: Mapping[str, Any] | None) -> str:
    """A reply that is one JSON value; without a schema, an object."""
    grammar = _Grammar()
    return grammar.text("ws " + ("object" if schema is None else grammar.visit(schema, schema)))


def for_call(tools: Tools, *, closing: str) -> str:
    """The inside of one tool call, up to and with the tag that ends it."""
    return _that_fits(tools, lambda grammar, tools: grammar.call(tools, closing))


def for_answer_or_call(schema: Mapping[str, Any] | None, tools: Tools, *, opening: str, closing: str) -> str:
    def root(grammar: "_Grammar", tools: Tools) -> str:
        answer = "object" if schema is None else grammar.visit(schema, schema)
        return f"ws {answer} | {literal(opening)} {grammar.call(tools, closing)}"

    return _that_fits(tools, root)


def _that_fits(tools: Tools, root: Callable[["_Grammar", Tools], str]) -> str:
    """One tool's schema takes the grammar from no other: its arguments are any object, or all tools' where they are too big."""
    try:
        return (grammar := _Grammar()).text(root(grammar, tools))
    except Untranslatable as exc:
        problem = exc
    usable = dict.fromkeys(tools, ANY_OBJECT)
    for name, schema in tools.items():
        with suppress(Untranslatable):
            for_answer(schema)
            usable[name] = schema
    for known in (usable, dict.fromkeys(tools, ANY_OBJECT)):
        with suppress(Untranslatable):
            return (grammar := _Grammar()).text(root(grammar, known))
    raise problem


def literal(text: str) -> str:
    """Exactly this text. Control characters must be escaped in it already, as JSON does."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class _Grammar:
    """Rules under construction. Their names are numbers, so nothing of a schema can be one."""

    def __init__(self) -> None:
        self._rules: list[str] = []
        self._references: dict[tuple[int, str], str] = {}
        self._ways = Ways()
        self._depth = 0
        self._length = 0

    def text(self, root: str) -> str:
        if self._ways.exceed(WAYS):
            raise Untranslatable("its schema leaves too many ways to go on open at once")
        return "\n".join((f"root ::= {root}", *self._rules, PRIMITIVES))

    def call(self, tools: Tools, closing: str) -> str:
        name_key, arguments_key = literal('"name"'), literal('"arguments"')
        arguments = {name: self.visit(schema, schema) for name, schema in tools.items()}
        calls = (
            f'{literal(_json(name))} ws "," ws {arguments_key} ws ":" ws {expression}' for name, expression in arguments.items()
        )
        self._ways.around("call", "{", arguments.values(), own=len(tools))
        return f'ws "{{" ws {name_key} ws ":" ws ({" | ".join(calls)}) ws "}}" ws {literal(closing)}'

    def visit(self, schema: Any, root: Mapping[str, Any]) -> str:
        """The expression (a rule's name) for what a schema accepts. root: where its references point."""
        self._depth += 1
        if self._depth > DEPTH:
            raise Untranslatable("its schema is nested too deeply")
        expression = self._expression(schema, root)
        self._depth -= 1
        return expression

    def _expression(self, schema: Any, root: Mapping[str, Any]) -> str:
        if schema is True:
            return "value"
        if not isinstance(schema, Mapping):
            raise Untranslatable("a part of its schema accepts nothing")
        elsewhere = [keyword for keyword in ELSEWHERE if keyword in schema]
        match schema:
            case {"const": constant}:
                return self._constants([constant])
            case {"enum": [_, *_] as constants}:
                return self._constants(constants)
            case {"properties": {}} if elsewhere and not _is_about(schema):
                return self._loose(schema)
            case {"properties": {**members}} if members and schema.get("type", "object") == "object":
                return self._object(schema, root)
            case _ if len(elsewhere) > 1 or (elsewhere and any(keyword in schema for keyword in INSIDE)):
                return self._loose(schema)
            case {"$ref": str(reference)}:
                return self._reference(reference, root)
            case {"anyOf": [_, *_] as options} | {"oneOf": [_, *_] as options}:
                visited = [self.visit(option, root) for option in options]
                return self._loose(schema) if "value" in visited else self._choice(visited)
            case {"allOf": [only]}:
                return self.visit(only, root)
            case {"type": [_, *_] as kinds}:
                return self._choice(self.visit({**schema, "type": kind}, root) for kind in kinds)
            case {"type": "object", "additionalProperties": {**member}} if member and "patternProperties" not in schema:
                return self._map(self.visit(member, root))
            case {"type": "object", "additionalProperties": False} if not any(map(schema.get, INSIDE)):
                return self._object({"properties": {}}, root)
            case {"type": "array"}:
                return self._array(schema, root)
            case {"type": "string"}:
                return self._string(schema)
            case {"type": str(kind)} if kind in TYPES:
                return kind
        return "value"

    def _loose(self, schema: Mapping[str, Any]) -> str:
        """Anything of its type."""
        kinds = schema.get("type")
        known = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str) and kind in TYPES]
        return self._choice(known) if known else "value"

    def _constants(self, values: Sequence[Any]) -> str:
        texts = list(dict.fromkeys(map(_json, values)))
        name = self._add(" | ".join(map(literal, texts)))
        self._ways.constants(name, texts)
        return name

    def _choice(self, options: Iterable[str]) -> str:
        different = list(dict.fromkeys(options))
        name = self._add(" | ".join(different))
        self._ways.choice(name, different)
        return name

    def _map(self, member: str) -> str:
        pair = f'string ":" ws {member}'
        name = self._add(f'"{{" ws ({pair} ("," ws {pair})*)? ws "}}"')
        self._ways.around(name, "{", [member])
        return name

    def _object(self, schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
        """Declared members only, in the order of their declaration, each at most once."""
        declared: Mapping[str, Any] = schema["properties"]
        required = {name for name in schema.get("required", ()) if isinstance(name, str)}
        other = schema.get("additionalProperties")
        undeclared = other if isinstance(other, Mapping) and "patternProperties" not in schema else True
        members = {**declared, **dict.fromkeys(sorted(required - declared.keys()), undeclared)}
        least = schema.get("minProperties")
        least = least if isinstance(least, int | float) else 0
        if least > len(members):
            return "object"
        first, after = "" if least > 0 else '""', '""'  # what may follow: when nothing was written yet, and when something was
        values: dict[str, str] = {}
        for name, member in reversed(members.items()):
            values[name] = self.visit(member, root)
            pair = self._add(f'{literal(_json(name))} ":" ws {values[name]}')
            optional = name not in required
            first = self._add(f"{pair} {after}" + (f" | {first}" if optional and first else ""))
            after = self._add(f'"," ws {pair} {after}' + (f" | {after}" if optional else ""))
        whole = self._add(f'"{{" ws {first} ws "}}"')
        self._ways.members(whole, {_json(name): values[name] for name in members}, map(_json, required))
        return whole

    def _array(self, schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
        items = schema.get("items", True)
        item = self.visit(True if isinstance(items, list) or "prefixItems" in schema else items, root)
        least, most = _bounds(schema.get("minItems"), schema.get("maxItems"), ARRAY_LENGTH)
        rest = f'("," ws {item}){{{max(least - 1, 0)},{"" if most is None else most - 1}}}'
        inside = "" if most == 0 else f"{item} {rest}" if least else f"({item} {rest})?"
        name = self._add(f'"[" ws {inside} ws "]"')
        self._ways.around(name, "[", [item])
        return name

    def _string(self, schema: Mapping[str, Any]) -> str:
        least, most = _bounds(schema.get("minLength"), schema.get("maxLength"), STRING_LENGTH)
        if not least and most is None:
            return "string"
        name = self._add(f'"\\"" char{{{least},{"" if most is None else most}}} "\\""')
        self._ways.around(name, '"', [])
        return name

    def _reference(self, reference: str, root: Mapping[str, Any]) -> str:
        key = id(root), reference
        if key not in self._references:
            target = _resolve(reference, root)
            name = self._references[key] = self._add("")
            expression = self.visit(target, root)
            self._rules[int(name[1:])] = f"{name} ::= {expression}"
            self._ways.choice(name, [expression])
        return self._references[key]

    def _add(self, expression: str) -> str:
        self._length += len(expression)
        if len(self._rules) >= RULES or self._length > TEXT:
            raise Untranslatable("its schema is too big")
        name = f"r{len(self._rules)}"
        self._rules.append(f"{name} ::= {expression}")
        return name


def _is_about(schema: Mapping[str, Any]) -> bool:
    """Whether what stands beside `properties` only says which of them must be there, and what a plain one is."""
    members: Mapping[str, Any] = schema["properties"]
    parts: list[Any] = []
    for keyword in ELSEWHERE:
        said = schema.get(keyword, [])
        parts += said if isinstance(said, list) else [said]
    return schema.get("type", "object") == "object" and all(_is_plain(part, members) for part in parts)


def _is_plain(part: Any, members: Mapping[str, Any]) -> bool:
    if not isinstance(part, Mapping) or not part.keys() <= {"properties", "required", "type", "title", "description"}:
        return False
    required, properties = part.get("required", []), part.get("properties", {})
    if not isinstance(required, list) or not isinstance(properties, Mapping):
        return False
    inside = {keyword for inner in properties.values() if isinstance(inner, Mapping) for keyword in inner}
    return {*map(str, required), *properties} <= members.keys() and inside.isdisjoint((*ELSEWHERE, *INSIDE))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _bounds(least: Any, most: Any, limit: int) -> tuple[int, int | None]:
    """Whole numbers within the limit; a bound that is not one is left to validation."""
    low = least if isinstance(least, int) and 0 <= least <= limit else 0
    high = most if isinstance(most, int) and low <= most <= limit else None
    return low, high


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    target: Any = root
    for step in _steps(reference):
        if isinstance(target, Mapping) and step in target:
            target = target[step]
        elif isinstance(target, Sequence) and not isinstance(target, str) and step.isdecimal() and int(step) < len(target):
            target = target[int(step)]
        else:
            raise Untranslatable(f"its schema refers to {reference!r}, which is not there")
    return target


def _steps(reference: str) -> Iterator[str]:
    if reference != "#" and not reference.startswith("#/"):
        raise Untranslatable(f"its schema refers to {reference!r}, outside itself")
    return (unquote(step).replace("~1", "/").replace("~0", "~") for step in reference.split("/")[1:])
