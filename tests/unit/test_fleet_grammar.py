"""A model that babbles, held by a grammar, answers in JSON that the schema accepts: the grammar is llama.cpp's, for real."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from core.fleet.agent import grammar, reply
from core.fleet.agent.engine import Engine
from core.fleet.agent.sampling import Sampler, Settings
from core.fleet.agent.task import Preparation, Task
from core.fleet.protocol import Ask, Call, Finished, Reasoning, Text
from core.messages import FinishReason
from tests.doubles.tiny_gguf import TEMPLATE, write_random, write_reciter

TREE = {
    "type": "object",
    "properties": {"leaf": {"type": "boolean"}, "left": {"$ref": "#"}},
    "required": ["leaf"],
    "additionalProperties": False,
}
DEFINED = {
    "$defs": {"a/b~c": {"enum": ["x", 'quo"ted', "back\\slash", "li\nne", "nul\0", "é", None, 1.5, {"k": [1]}]}},
    "type": "array",
    "items": {"$ref": "#/$defs/a~1b~0c"},
    "minItems": 2,
    "maxItems": 3,
}
SCHEMAS: list[dict[str, Any]] = [
    {"type": "integer"},
    {"type": ["number", "null"]},
    {"const": 'a "quoted" \\ \n constant ::= root'},
    {"anyOf": [{"type": "boolean"}, {"enum": [1, 2]}]},
    {"allOf": [{"type": "integer"}]},
    TREE,
    DEFINED,
    {"type": "object", "additionalProperties": {"type": "boolean"}},
    {"type": "array", "items": {"type": "integer"}, "maxItems": 0},
    {
        "type": "object",
        "description": 'ignored ::= "\\x" \U0001f600 [^',
        "properties": {
            'na"me ::= ': {"type": "integer", "description": "\0"},
            "optional": {"type": "null"},
            "last": {"enum": ["only"]},
        },
        "required": ['na"me ::= ', "undeclared-but-required-is-anything"][:1],
        "additionalProperties": False,
    },
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with closing(Engine(write_random(tmp_path_factory.mktemp("model") / "random.gguf", context=1024))) as engine:
        yield engine


def say(engine: Engine, *, seed: int = 0, begun: str = "", **task: Any) -> tuple[list[Any], Finished]:
    """What the babbling model says at a temperature at which it babbles."""
    ready = Task(
        prompt=engine.vocabulary.tokenise("hello" + begun),
        settings=Settings(temperature=1.0, top_p=1.0, seed=seed),
        max_output_tokens=900,
        begun=begun,
        **task,
    )
    *pieces, finished = reply.write(engine, ready, stopped=lambda: False, new_id=lambda: "call_1")
    assert isinstance(finished, Finished)
    return pieces, finished


def text_of(pieces: list[Any]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:40])
def test_an_answer_is_json_that_its_schema_accepts(engine: Engine, schema: dict[str, Any]) -> None:
    complete = 0
    for seed in range(6):
        pieces, finished = say(engine, seed=seed, json_answer=True, json_schema=schema)
        if finished.reason is FinishReason.STOP:
            complete += 1
            jsonschema.validate(json.loads(text_of(pieces)), schema)
    assert complete > 0


def test_an_answer_without_a_schema_is_an_object(engine: Engine) -> None:
    answers = [say(engine, seed=seed, json_answer=True) for seed in range(12)]
    complete = [json.loads(text_of(pieces)) for pieces, finished in answers if finished.reason is FinishReason.STOP]
    assert complete
    assert all(isinstance(answer, dict) for answer in complete)


TOOLS: Mapping[str, Mapping[str, Any]] = {
    'quote"d': {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
    "plain": {"type": "object", "properties": {}, "additionalProperties": False},
}


def test_a_call_names_an_offered_tool_and_its_arguments_fit(engine: Engine) -> None:
    called = set()
    for seed in range(12):
        pieces, finished = say(engine, seed=seed, begun="<tool_call>\n", tools=TOOLS, single_call=True)
        assert finished.reason is FinishReason.TOOL_CALLS
        first = pieces[0]
        assert isinstance(first, Call)
        jsonschema.validate(json.loads("".join(piece.arguments for piece in pieces)), TOOLS[first.name])
        called.add(first.name)
    assert called == set(TOOLS)


def test_a_call_whose_name_was_given_is_that_tools(engine: Engine) -> None:
    begun = '<tool_call>\n{"name": "quote\\"d", "arguments": '
    pieces, _ = say(engine, begun=begun, tools={'quote"d': TOOLS['quote"d']}, single_call=True)
    assert pieces[0].name == 'quote"d'
    jsonschema.validate(json.loads("".join(piece.arguments for piece in pieces)), TOOLS['quote"d'])


def test_with_tools_on_offer_a_json_answer_may_be_a_call_instead(engine: Engine) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": False}
    for seed in range(12):
        pieces, finished = say(engine, seed=seed, json_answer=True, json_schema=schema, tools=TOOLS, single_call=True)
        if finished.reason is FinishReason.TOOL_CALLS:
            jsonschema.validate(json.loads("".join(piece.arguments for piece in pieces)), TOOLS[pieces[0].name])
        else:
            jsonschema.validate(json.loads(text_of(pieces)), schema)


def answer(engine: Engine, template: str = TEMPLATE, **ask: Any) -> tuple[list[Any], Finished]:
    """What the model says to a request that comes the whole way."""
    preparation = Preparation(engine, template)
    asked = Ask(messages=[{"role": "user", "content": "hello"}], **ask)
    task = preparation.finish(asked, preparation.compose(asked))
    *pieces, finished = reply.write(engine, task, stopped=lambda: False, new_id=lambda: "call_1")
    assert isinstance(finished, Finished)
    return pieces, finished


@pytest.mark.parametrize("name", [None, "add"])
def test_a_tool_that_must_be_called_is_called_where_the_template_opens_thinking(engine: Engine, name: str | None) -> None:
    tools = [{"type": "function", "function": {"name": "add", "parameters": TOOLS['quote"d']}}]
    forced: dict[str, Any] = {"tools": tools, "tool_choice": "required", "tool_name": name, "parallel_tool_calls": False}
    for seed in range(6):
        pieces, finished = answer(engine, f"{TEMPLATE}<think>\n", **forced, seed=seed, temperature=1, max_output_tokens=200)
        assert finished.reason is FinishReason.TOOL_CALLS
        assert [piece for piece in pieces if isinstance(piece, Reasoning)] == []
        jsonschema.validate(json.loads("".join(piece.arguments for piece in pieces)), TOOLS['quote"d'])


@pytest.mark.parametrize("tag", ["<think>", "<tool_call>"])
def test_a_json_answer_may_speak_of_tags(tmp_path: Path, tag: str) -> None:
    script = ['{"tag":"', tag, '","n":', "1", "}"]
    properties = {"tag": {"type": "string"}, "n": {"type": "integer"}}
    schema = {"type": "object", "properties": properties, "required": ["tag", "n"], "additionalProperties": False}
    tools = [{"type": "function", "function": {"name": "plain", "parameters": TOOLS["plain"]}}]
    with closing(Engine(write_reciter(tmp_path / "model.gguf", script))) as engine:
        for offered in ([], tools):
            pieces, _ = answer(engine, json_answer=True, json_schema=schema, tools=offered, temperature=0)
            assert text_of(pieces) == "".join(script)


def nested(depth: int) -> dict[str, Any]:
    return {"type": "array", "items": nested(depth - 1)} if depth else {"type": "null"}


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "object", "properties": {f"p{n}": {"type": "string", "minLength": 1} for n in range(3000)}}, "too big"),
        ({"enum": ["x" * 500_000]}, "too big"),
        (nested(80), "nested too deeply"),
        ({"$ref": "https://elsewhere.example/schema"}, "outside itself"),
        ({"$ref": "#/$defs/none"}, "not there"),
        ({"type": "array", "items": False}, "accepts nothing"),
    ],
    ids=["members", "constant", "depth", "remote", "missing", "false"],
)
def test_a_schema_that_is_no_good_for_a_grammar_is_named(schema: dict[str, Any], problem: str) -> None:
    with pytest.raises(grammar.Untranslatable, match=problem):
        grammar.for_answer(schema)


def record(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def alike(options: int, inside: dict[str, Any]) -> dict[str, Any]:
    """A union of objects that all begin with the same member."""
    return {"anyOf": [record("a", a=inside, **{f"x{n}": {"type": "null"}}) for n in range(options)]}


def levels(depth: int, options: int) -> dict[str, Any]:
    """Each level a union of objects that begin alike, the next level in all of them."""
    chain = {f"t{n}": alike(options, {"$ref": f"#/$defs/t{n + 1}"}) for n in range(depth)}
    return {"$defs": {**chain, f"t{depth}": {"type": "null"}}, "$ref": "#/$defs/t0"}


OBJECT, ARRAY = {"type": "object"}, {"type": "array"}
HERE = {"$ref": "#"}
NUMBER, TEXT = {"type": "number"}, {"type": "string"}
CHOICES = [{"$ref": f"#/$defs/c{n}"} for n in range(24)]
AMBIGUOUS: dict[str, dict[str, Any]] = {
    "levels": levels(6, 24),
    "deep": levels(20, 2),
    "objects that recurse": {"anyOf": [{"type": "null"}, record("a", a=HERE), record("a", a=HERE, b=TEXT)]},
    "arrays that recurse": {"anyOf": [{"type": "array", "items": HERE}, {"type": "array", "items": HERE, "minItems": 1}]},
    "maps that recurse": {"anyOf": [{"type": "object", "additionalProperties": HERE}, record(a=HERE)]},
    "tags that come last": {"anyOf": [record("left", "tag", left=HERE, tag={"const": n}) for n in range(2)]},
    "tags that are alike": {"anyOf": [record("tag", "a", tag={"enum": ["x", n]}, a=HERE) for n in range(2)]},
    "a way round": {
        "$defs": {"a": record(b={"$ref": "#/$defs/b"}), "b": alike(2, {"$ref": "#/$defs/a"})},
        "$ref": "#/$defs/a",
    },
    "an inner one found first": {
        "$defs": {
            "t": record(back={"$ref": "#/$defs/u"}, wide=levels(4, 4)["$defs"]["t0"]),
            "u": record(t={"$ref": "#/$defs/t"}),
        }
        | {name: schema for name, schema in levels(4, 4)["$defs"].items() if name != "t0"},
        **alike(4, {"$ref": "#/$defs/u"}),
    },
    "constants": {"enum": [f"v{n}" for n in range(3000)]},
    "constants in objects": alike(20, {"enum": [f"v{n}" for n in range(100)]}),
    "choices of choices": {
        "$defs": {"c0": {"type": "boolean"}, **{f"c{n}": {"anyOf": CHOICES[:n]} for n in range(1, 24)}},
        "anyOf": CHOICES,
    },
    "itself": HERE,
    "a choice that begins with itself": {"anyOf": [HERE, {"type": "null"}]},
    "choices of choices in arrays": {
        "$defs": {f"c{n}": {"anyOf": CHOICES[:n] or [TEXT, NUMBER]} for n in range(8)},
        "anyOf": [{"type": "array", "items": CHOICES[7], "minItems": n} for n in range(4)],
    },
    "arrays that end alike": {
        "type": "array",
        "items": {"anyOf": [{**ARRAY, "minItems": n % 3, "maxItems": 3 + n // 3} for n in range(120)]},
    },
    "lists of types": {"anyOf": [{"type": ["array", "null"], "items": HERE}, {"type": ["array", "string"], "items": HERE}]},
}


@pytest.mark.parametrize("schema", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_schema_that_leaves_too_much_open_is_no_grammar(schema: dict[str, Any]) -> None:
    with pytest.raises(grammar.Untranslatable, match="too many ways"):
        grammar.for_answer(schema)
    assert grammar.for_call({"f": schema}, closing="</tool_call>") == grammar.for_call({"f": OBJECT}, closing="</tool_call>")


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "object", "properties": {"old": False}, "required": ["old"]},
        {"$ref": "https://elsewhere.example/schema"},
        {"enum": ["x" * 70_000]},
        HERE,
        AMBIGUOUS["levels"],
        AMBIGUOUS["choices of choices"],
    ],
    ids=["nothing", "remote", "big", "itself", "levels", "choices"],
)
def test_a_tool_whose_schema_is_no_good_for_a_grammar_takes_it_from_no_other(engine: Engine, bad: dict[str, Any]) -> None:
    tools = {**TOOLS, "bad": bad}
    answer_or_call = grammar.for_answer_or_call(TREE, tools, opening="<tool_call>", closing="</tool_call>")
    for written, opening in ((grammar.for_call(tools, closing="</tool_call>"), ""), (answer_or_call, "<tool_call>")):
        for name, arguments, fits in (("plain", "{}", True), ("plain", '{"a":1}', False), ("bad", '{"a":[1]}', True)):
            call = f'{opening}{{"name":"{name}","arguments":{arguments}}}</tool_call>'
            assert holds(engine, written, call) == fits
        assert not holds(engine, written, f'{opening}{{"name":"other"')
        assert not holds(engine, written, f'{opening}{{"name":"bad","arguments":5')


def test_tools_that_are_too_much_together_are_still_called_by_their_names(engine: Engine) -> None:
    tools = {f"f{n}": record(**{f"p{m}": TEXT for m in range(100)}) for n in range(20)}
    written = grammar.for_call(tools, closing="</tool_call>")
    assert holds(engine, written, '{"name":"f19","arguments":{"any":1}}</tool_call>')
    assert not holds(engine, written, '{"name":"f20"')


TAGGED = [record("tag", tag={"const": f"kind {n}"}, left=HERE, right=HERE) for n in range(20)]
NODE = {"$ref": "#/$defs/node"}
ORDINARY: dict[str, dict[str, Any]] = {
    "nested": record("a", a=record("b", b=record("c", c={"type": "array", "items": record("d", d=TEXT)}))),
    "optional": record(**{f"p{n}": {"type": ["string", "null"]} for n in range(100)}),
    "tagged": {"anyOf": [{"type": "integer"}, *TAGGED]},
    "tagged, optional": {"oneOf": [record(tag={"const": n}, **{f"only{n}": TEXT}) for n in range(20)]},
    "tagged by reference": {
        "$defs": {f"d{n}": record("tag", tag={"enum": [n]}, next=HERE) for n in range(3)},
        "anyOf": [{"$ref": f"#/$defs/d{n}"} for n in range(3)],
    },
    "told apart by their first member": {"anyOf": [record("value", value=NUMBER), record("left", left=HERE, right=HERE)]},
    "constants": {"type": "array", "items": {"enum": [f"country {n}" for n in range(300)]}},
    "nullable": record("a", "b", **{name: {"anyOf": [{"enum": [*"abcdef"]}, {"type": "null"}]} for name in "abcdefgh"}),
    "tree": {"$defs": {"node": record("value", value=NUMBER, children={"type": "array", "items": NODE})}, **NODE},
    "list": {"$defs": {"node": record("value", value=TEXT, next={"anyOf": [NODE, {"type": "null"}]})}, **NODE},
    "any JSON": {"anyOf": [TEXT, NUMBER, {"type": "array", "items": HERE}, {"type": "object", "additionalProperties": HERE}]},
    "a few that begin alike": alike(3, record("b", b=alike(3, TEXT))),
    "many one after the other": record(**{f"p{n}": alike(3, {"type": ["integer", "number"]}) for n in range(30)}),
}


@pytest.mark.parametrize("schema", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_schemas_hold_the_model(engine: Engine, schema: dict[str, Any]) -> None:
    with closing(Sampler(engine, Settings(temperature=0, top_p=1))) as sampler:
        assert sampler.constrain(grammar.for_answer(schema))
        assert sampler.constrain(grammar.for_call({"f": schema}, closing="</tool_call>"))


def test_what_is_worst_of_the_allowed_is_followed_at_once(engine: Engine) -> None:
    with closing(Sampler(engine, Settings(temperature=0, top_p=1))) as sampler:
        assert sampler.constrain(grammar.for_answer(levels(2, 7)))
        assert sampler.advance('{"a": {"a": null, "x6": null}, "x3": null}')


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"type": "array", "items": False}, {"enum": ["x" * 70_000]}, AMBIGUOUS["levels"]]
)
def test_without_a_usable_grammar_the_model_answers_unconstrained_and_the_log_says_so(
    engine: Engine, schema: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _, finished = say(engine, json_answer=True, json_schema=schema)
    assert finished.usage.output > 0
    assert caplog.messages[0].startswith("no grammar for a part of a reply")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "maxLength": 5000},
        {"type": "string", "minLength": -1, "maxLength": "no number"},
        {"type": "string", "pattern": "^(a+)+$", "format": "uuid"},
        {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "maxItems": 50}, "maxItems": 50},
        {"type": "object", "properties": {"a": True}, "required": [1, None, "b"]},
        {"type": "thing"},
        {"properties": [], "type": 5, "enum": [], "anyOf": {}, "$ref": 7},
        {"type": "object", "properties": {"": {"const": ""}}, "required": [""]},
        {},
    ],
)
def test_odd_schemas_make_grammars_that_llama_cpp_reads(engine: Engine, schema: dict[str, Any]) -> None:
    with closing(Sampler(engine, Settings(temperature=0, top_p=1))) as sampler:
        assert sampler.constrain(grammar.for_answer(schema))
        assert sampler.constrained


def test_a_grammar_that_forbids_what_was_written_is_let_go(engine: Engine) -> None:
    with closing(Sampler(engine, Settings(temperature=0, top_p=1))) as sampler:
        sampler.constrain(grammar.for_answer({"type": "boolean"}))
        assert not sampler.advance("tru fals")
        assert not sampler.constrained


def test_switched_off_no_grammar_is_used(engine: Engine) -> None:
    task = Task(
        prompt=engine.vocabulary.tokenise("hello"),
        settings=Settings(temperature=1.0, top_p=1.0, seed=1),
        max_output_tokens=40,
        json_answer=True,
    )
    pieces = list(reply.write(engine, task, stopped=lambda: False, new_id=lambda: "call_1", use_grammar=False))
    assert not text_of(pieces).lstrip().startswith("{")


BASE = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
EXTRA = {"properties": {"extra": {"type": "string"}}, "required": ["extra"]}
BESIDE: list[tuple[dict[str, Any], Any]] = [
    ({"type": "object", "allOf": [{"$ref": "#/$defs/B"}], **EXTRA, "$defs": {"B": BASE}}, {"id": 1, "extra": "x"}),
    ({"$ref": "#/$defs/B", **EXTRA, "$defs": {"B": BASE}}, {"id": 1, "extra": "x"}),
    ({"$ref": "#/$defs/B", "allOf": [EXTRA], "$defs": {"B": BASE}}, {"id": 1, "extra": "x"}),
    ({"anyOf": [BASE], "oneOf": [EXTRA]}, {"id": 1, "extra": "x"}),
    ({"anyOf": [BASE], "required": ["extra"]}, {"id": 1, "extra": "x"}),
    ({**BASE, "oneOf": [EXTRA, {"properties": {"iban": {}}, "required": ["iban"]}]}, {"id": 1, "iban": "x"}),
    ({**BASE, "if": {"required": ["id"]}, "then": EXTRA}, {"id": 1, "extra": "x"}),
    ({**BASE, "dependentRequired": {"id": ["extra"]}}, {"id": 1, "extra": "x"}),
    ({**BASE, "minProperties": 2}, {"id": 1, "extra": "x"}),
    ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}, "minItems": 2}, ["a", 1]),
    ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, ["a"]),
    ({"type": "array", "items": {}, "anyOf": [{"items": {"type": "string"}}, {"maxItems": 0}]}, ["a"]),
    (
        {
            "type": "object",
            "patternProperties": {"^n": {"type": "integer"}},
            "additionalProperties": {"type": "string"},
            "required": ["n"],
        },
        {"n": 1},
    ),
]  # fmt: skip


def holds(engine: Engine, written: str, text: str) -> bool:
    with closing(Sampler(engine, Settings(temperature=1.0, top_p=1.0))) as sampler:
        assert sampler.constrain(written)
        return sampler.advance(text)


def allowed(engine: Engine, schema: Mapping[str, Any], value: Any) -> bool:
    return holds(engine, grammar.for_answer(schema), json.dumps(value, separators=(",", ":")))


@pytest.mark.parametrize(("schema", "value"), BESIDE)
def test_keywords_beside_each_other_leave_what_is_valid(engine: Engine, schema: dict[str, Any], value: Any) -> None:
    jsonschema.validate(value, schema)
    assert allowed(engine, schema, value)


def test_alternatives_of_declared_members_are_held_to_these(engine: Engine) -> None:
    either = {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert allowed(engine, either, {"b": 1})
    assert not allowed(engine, either, {"c": 1})
    described = {"$ref": "#/$defs/B", "description": "a thing", "type": "object", "$defs": {"B": BASE}}
    assert allowed(engine, described, {"id": 1})
    assert not allowed(engine, described, {"id": "x"})


ONLY = {"additionalProperties": False}
TIGHT: list[tuple[dict[str, Any], list[Any], list[Any]]] = [
    ({"type": "object", **ONLY}, [{}], [{"a": 1}]),
    ({"type": "object", "properties": {}, "required": [], **ONLY}, [{}], [{"a": 1}]),
    ({"type": "object", "patternProperties": {"^a": {}}, **ONLY}, [{}, {"a": 1}], []),
    ({"type": "object", "properties": {"a": {}, "b": {}}, "minProperties": 1}, [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}], [{}]),
    ({"type": "object", "properties": {"a": {}, "b": {}}, "minProperties": 1, "required": ["a"]}, [{"a": 1}], [{}, {"b": 1}]),
    ({"type": "array", "minItems": 2}, [[1, "x"]], [[], [1]]),
    ({"type": "array", "prefixItems": [NUMBER, TEXT], "minItems": 2, "maxItems": 2}, [[1, "x"]], [[], [1], [1, "x", 2]]),
    ({"type": "array", "items": [NUMBER, TEXT], "minItems": 1}, [[1, "x"]], [[]]),
    ({"type": "object", "properties": {"a": {}}, "required": ["n"], "additionalProperties": NUMBER}, [{"n": 1}], [{"n": "x"}]),
    ({"$defs": {"a b": NUMBER}, "$ref": "#/%24defs/a%20b"}, [1], ["x"]),
]


@pytest.mark.parametrize(("schema", "valid", "wrong"), TIGHT)
def test_a_grammar_is_no_looser_than_it_need_be(
    engine: Engine, schema: dict[str, Any], valid: list[Any], wrong: list[Any]
) -> None:
    assert [value for value in valid if not allowed(engine, schema, value)] == []
    assert [value for value in wrong if allowed(engine, schema, value)] == []


def test_no_number_is_infinite(engine: Engine) -> None:
    written = grammar.for_answer(NUMBER)
    assert holds(engine, written, f"-{'9' * 19}.5e99")
    assert not holds(engine, written, "1e999")
    assert not holds(engine, written, "9" * 20)


def test_an_id_of_64_bits_can_be_written(engine: Engine) -> None:
    assert holds(engine, grammar.for_answer({"type": "integer"}), str(2**63 - 1))


@pytest.mark.parametrize("schema", [None, BASE])
def test_after_a_call_that_must_be_made_no_answer_has_to_stand_beside_it(tmp_path: Path, schema: Any) -> None:
    tools = [{"type": "function", "function": {"name": "plain", "parameters": TOOLS["plain"]}}]
    script = ['{"name": "plain", "arguments": {}}', "</tool_call>", " "]
    with closing(Engine(write_reciter(tmp_path / "model.gguf", script))) as engine:
        pieces, finished = answer(
            engine, tools=tools, tool_choice="required", json_answer=True, json_schema=schema, temperature=0
        )
    assert [piece.name for piece in pieces if isinstance(piece, Call) and piece.name] == ["plain"]
    assert (text_of(pieces), finished.reason, finished.usage.output) == (" ", FinishReason.TOOL_CALLS, 3)
