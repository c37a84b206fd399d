"""What a model writes, cut into pieces in every way, becomes the same text, reasoning and calls."""

import json
import random
from collections.abc import Sequence
from itertools import count

import pytest

from core.fleet.agent.parsers import Hermes, State, StopText
from core.fleet.protocol import Call, Reasoning, Text


def read(
    pieces: Sequence[str], *, calls: bool = True, thinking: bool = False, json_answer: bool = False, ended: bool = True
) -> tuple[str, str, list[tuple[str, str]]]:
    """Text, reasoning, and (name, arguments) of each call."""
    numbers = count()
    parser = Hermes(calls=calls, thinking=thinking, json_answer=json_answer, new_id=lambda: f"call_{next(numbers)}")
    written = [part for piece in pieces for part in parser.feed(piece)]
    written += parser.finish(ended=ended)
    found: dict[int, tuple[str, str]] = {}
    for part in written:
        if isinstance(part, Call):
            assert bool(part.id) == (part.index not in found)  # the first piece of a call, and no other, has its id
            name, arguments = found.get(part.index, (part.name, ""))
            found[part.index] = (name, arguments + part.arguments)
    text = "".join(part.text for part in written if isinstance(part, Text))
    reasoning = "".join(part.text for part in written if isinstance(part, Reasoning))
    return text, reasoning, [found[index] for index in sorted(found)]


def cuts(text: str) -> list[list[str]]:
    """The text whole, character by character, and cut at random."""
    chosen = random.Random(3)
    ways = [[text], list(text)]
    for _ in range(30):
        edges = sorted(chosen.sample(range(len(text) + 1), min(8, len(text))))
        ways.append([text[start:end] for start, end in zip([0, *edges], [*edges, len(text)], strict=True)])
    return ways


CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": [2, {"c": "}"}]}}\n</tool_call>'
QUOTED_TAG = '{"text":"</tool_call> \\" {"}'
PATH = r'{"p":"C:\\"}'
ARGUMENTS = '{"a": 1, "b": [2, {"c": "}"}]}'


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Just text.", ("Just text.", "", [])),
        ("a < b and <tool_cat> is no tag", ("a < b and <tool_cat> is no tag", "", [])),
        (CALL, ("", "", [("add", ARGUMENTS)])),
        (f"Let me see.\n{CALL}", ("Let me see.", "", [("add", ARGUMENTS)])),
        (f"{CALL}\n{CALL}", ("", "", [("add", ARGUMENTS), ("add", ARGUMENTS)])),
        (f"One.\n\n{CALL}\nTwo.", ("One.Two.", "", [("add", ARGUMENTS)])),
        (f"<think>\nhm <tool_call>\n</think>\n\nYes.\n{CALL}", ("Yes.", "\nhm <tool_call>\n", [("add", ARGUMENTS)])),
        (f'<tool_call>{{"name":"say","arguments":{QUOTED_TAG}}}</tool_call>!', ("!", "", [("say", QUOTED_TAG)])),
        (f'<tool_call>{{"name": "open", "arguments": {PATH}}}</tool_call>!', ("!", "", [("open", PATH)])),
        ('<tool_call>{"name": "f\\u00fcr", "arguments": {}}</tool_call>', ("", "", [("für", "{}")])),
    ],
)
def test_however_it_is_cut_it_is_read_the_same(written: str, expected: tuple[str, str, list[tuple[str, str]]]) -> None:
    for pieces in cuts(written):
        assert read(pieces) == expected


@pytest.mark.parametrize(
    ("inside", "name", "arguments"),
    [
        ('{"arguments": {"a": 1}, "name": "add"}', "add", '{"a": 1}'),
        ('{"name": "add", "parameters": {"a": 1}}', "add", '{"a": 1}'),
        ('{"name": "add", "arguments": "{\\"a\\": 1}"}', "add", '{"a": 1}'),
        ('{"name": "add"}', "add", "{}"),
        ('{"name": "add", "arguments": null}', "add", "null"),
        ('{"name": add', "", '{"name": add'),
        ("[" * 5000, "", "[" * 5000),
        ('{"arguments": "\\ud800", "name": "\\udfff!"}', "?!", "?"),
        ("", "", ""),
    ],
)
def test_an_unusual_or_malformed_call_is_passed_on_with_what_was_written(inside: str, name: str, arguments: str) -> None:
    assert read([f"<tool_call>{inside}</tool_call>"]) == ("", "", [(name, arguments)])


def test_arguments_are_passed_on_while_they_are_being_written() -> None:
    parser = Hermes(calls=True, thinking=False, new_id=lambda: "call_1")
    list(parser.feed('<tool_call>{"name": "run", "arguments": '))
    assert list(parser.feed('{"code": "print(')) == [
        Call(index=0, id="call_1", name="run"),
        Call(index=0, arguments='{"code": "print('),
    ]
    assert list(parser.feed("1)")) == [Call(index=0, arguments="1)")]


def test_a_string_cut_inside_an_escape_does_not_end_early() -> None:
    pieces = ['<tool_call>{"name": "run", "arguments": {"code": "a\\', '"}b', '"}}</tool_call>']
    assert read(pieces) == ("", "", [("run", '{"code": "a\\"}b"}')])


def test_a_call_without_its_closing_tag_counts_when_the_model_ended_it() -> None:
    assert read(['<tool_call>{"name": "add", "arguments": {"a": 1}}'])[2] == [("add", '{"a": 1}')]
    assert read(["<tool_call>add(1)"])[2] == [("", "add(1)")]


def test_a_call_that_was_cut_off_is_not_made_whole() -> None:
    assert read(['<tool_call>{"name": "ad'], ended=False)[2] == []
    assert read(['<tool_call>{"name": "add", "arguments": {"a": 1'], ended=False)[2] == [("add", '{"a": 1')]


@pytest.mark.parametrize("written", ["The <think> tag", "The <think>", "a <thi"])
def test_thinking_begins_before_the_answer_or_is_text(written: str) -> None:
    for pieces in cuts(written):
        assert read(pieces) == (written, "", [])


@pytest.mark.parametrize("tag", ["<think>", "<tool_call>", "</think>"])
def test_inside_a_json_answer_a_tag_is_text(tag: str) -> None:
    answer = f'{{"tag":"{tag}","n":1}}'
    for pieces in cuts(answer):
        assert read(pieces, json_answer=True) == (answer, "", [])


def test_a_json_answer_may_come_after_thinking_or_be_a_call() -> None:
    for pieces in cuts("<think>hm</think>\n\n{}"):
        assert read(pieces, json_answer=True) == ("{}", "hm", [])
    for pieces in cuts(f"\n {CALL}"):
        assert read(pieces, json_answer=True)[2] == [("add", ARGUMENTS)]


def test_without_tools_a_call_is_text() -> None:
    assert read([CALL], calls=False) == (CALL, "", [])


def test_a_prompt_that_ends_inside_thinking_makes_what_follows_reasoning() -> None:
    assert read(list("hm</think>\n\nSo."), thinking=True) == ("So.", "hm", [])


def test_reasoning_that_never_ends_is_reasoning() -> None:
    assert read(["<think>hm", " hm</thi"]) == ("", "hm hm</thi", [])


def test_the_call_so_far_is_what_a_grammar_has_to_catch_up_with() -> None:
    parser = Hermes(calls=True, thinking=False, new_id=lambda: "call_1")
    list(parser.feed('x<tool_call>\n{"na'))
    assert (parser.state, parser.call_so_far) == (State.CALL, '\n{"na')


def test_text_is_cut_before_a_stop_sequence_wherever_it_falls() -> None:
    for pieces in cuts("one two END three"):
        stop = StopText(("END", "threx", ""))
        shown = "".join(stop.feed(piece) for piece in pieces if not stop.reached)
        assert (shown, stop.reached) == ("one two ", True)


def test_text_that_only_began_like_a_stop_sequence_is_shown_at_the_end() -> None:
    stop = StopText(("END",))
    assert (stop.feed("the EN"), stop.flush(), stop.reached) == ("the ", "EN", False)


def test_no_stop_sequence_holds_nothing_back() -> None:
    assert StopText(("",)).feed("text") == "text"


def test_any_noise_is_read_without_an_error_and_arguments_stay_what_was_written() -> None:
    chosen = random.Random(11)
    alphabet = ["<tool_call>", "</tool_call>", "<think>", "</think>", '{"name": "f", "arguments": {', "}", '"', "\\", "\n", "é"]
    for _ in range(2000):
        noise = "".join(chosen.choices(alphabet, k=chosen.randrange(12)))
        for pieces in cuts(noise)[:4]:
            for _, arguments in read(pieces)[2]:
                assert json.dumps(arguments)
