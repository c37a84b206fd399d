import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from api.cli import paddock
from core.errors import ConfigurationError
from core.llm import script as script_module
from core.llm.contract import CallChunk, Chunk, Finished, ReasoningChunk, TextChunk
from core.llm.declaration import validate_model
from core.llm.player import Disconnect, Event, Pause, Player
from core.llm.script import ScriptedError, Situation, read_rules
from core.messages import FinishReason, Usage

HELLO = Situation(last_user_text="hello")


def rules(*entries: Any) -> Player:
    declaration = validate_model({"name": "m", "backend": "scripted", "script": list(entries)})
    return Player(declaration.script)  # type: ignore[attr-defined]


def played(player: Player, situation: Situation = HELLO) -> list[Event]:
    return list(player.play(situation))


def text_of(player: Player, situation: Situation = HELLO) -> str:
    return "".join(event.text for event in player.play(situation) if isinstance(event, TextChunk))


def test_the_first_rule_that_fits_answers() -> None:
    player = rules(
        {"when": {"contains": "bye"}, "reply": "Bye."},
        {"when": {"matches": "^hel+o$"}, "reply": "Hello."},
        {"reply": "What?"},
    )
    assert text_of(player) == "Hello."
    assert text_of(player, Situation(last_user_text="good bye")) == "Bye."
    assert text_of(player, Situation(last_user_text="oh, hello")) == "What?"


def test_a_rule_about_the_user_does_not_fit_while_a_tool_result_is_last() -> None:
    player = rules(
        {"when": {"contains": "hello"}, "reply": "user"},
        {"when": {"after_tool": "f"}, "reply": "f"},
        {"when": {"after_tool": True}, "reply": "some tool"},
    )
    assert text_of(player) == "user"
    assert text_of(player, Situation(last_user_text="hello", after_tool="f", tool_results=1)) == "f"
    assert text_of(player, Situation(last_user_text="hello", after_tool="g", tool_results=1)) == "some tool"


def test_tool_results_are_counted() -> None:
    player = rules(
        {"when": {"tool_results": 2, "contains": "hello"}, "reply": "two"},
        {"when": {"tool_results": 0}, "reply": "none"},
        {"reply": "else"},
    )
    assert text_of(player, Situation(last_user_text="hello", after_tool="f", tool_results=2)) == "two"
    assert text_of(player, Situation(last_user_text="other", after_tool="f", tool_results=2)) == "else"
    assert text_of(player) == "none"


def test_a_rule_can_answer_a_few_times_only() -> None:
    player = rules({"times": 2, "reply": {"error": {"status": 503}}}, {"reply": "back"})
    assert [text_of(player) for _ in range(4)] == ["", "", "back", "back"]


def test_what_no_rule_fits_is_refused_without_being_repeated() -> None:
    (event,) = played(rules({"when": {"contains": "secret"}, "reply": "a"}))
    assert isinstance(event, ScriptedError)
    assert event.status == 400
    assert "hello" not in event.message


def test_text_reasoning_and_calls_come_in_pieces_and_in_order() -> None:
    reply = {"reasoning": "hmm", "text": "Wait", "tool_calls": [{"name": "f", "arguments": {"x": 1}, "id": "mine"}]}
    assert played(rules({"reply": reply, "piece_characters": 3})) == [
        ReasoningChunk(text="hmm"),
        TextChunk(text="Wai"),
        TextChunk(text="t"),
        CallChunk(index=0, id="mine", name="f"),
        CallChunk(index=0, arguments='{"x'),
        CallChunk(index=0, arguments='": '),
        CallChunk(index=0, arguments="1}"),
        Finished(reason=FinishReason.TOOL_CALLS, usage=Usage(input=2, output=9)),
    ]


def test_several_calls_have_ids_that_no_other_reply_has() -> None:
    player = rules({"reply": {"tool_calls": [{"name": "f"}, {"name": "g", "arguments": "{malformed"}]}})
    calls = [event for _ in range(3) for event in player.play(HELLO) if isinstance(event, CallChunk) and event.name]
    assert [(call.index, call.name) for call in calls[:2]] == [(0, "f"), (1, "g")]
    assert len({call.id for call in calls}) == 6
    assert CallChunk(index=1, arguments="{malformed") in played(player)


def test_parts_are_played_one_after_the_other_until_one_ends_it() -> None:
    reply = [{"text": "a"}, {"pause_seconds": 2, "text": "b"}, {"disconnect": True}, {"text": "never"}]
    assert played(rules({"reply": reply})) == [TextChunk(text="a"), Pause(2), TextChunk(text="b"), Disconnect()]
    reply = [{"text": "a"}, {"error": {"status": 500, "message": "m"}}, {"text": "never"}]
    assert played(rules({"reply": reply})) == [TextChunk(text="a"), ScriptedError(status=500, message="m")]


def test_the_pace_is_kept_between_pieces() -> None:
    assert played(rules({"reply": "abc", "piece_characters": 1, "pace_seconds": 0.5}))[:-1] == [
        TextChunk(text="a"),
        Pause(0.5),
        TextChunk(text="b"),
        Pause(0.5),
        TextChunk(text="c"),
    ]


def test_blanks_are_filled_in_once_and_nothing_else_is_touched() -> None:
    situation = Situation(last_user_text="{last_tool_result}", last_tool_result="42", after_tool="f", tool_results=1)
    reply = {
        "text": "{last_user_text} {last_tool_result} {other} {}",
        "tool_calls": [{"name": "f", "arguments": {"a": ["{last_tool_result}", 7], "b": {"c": "{last_tool_result}"}}}],
    }
    events = played(rules({"reply": reply, "piece_characters": 1000}), situation)
    assert events[0] == TextChunk(text="{last_tool_result} 42 {other} {}")
    assert isinstance(arguments := events[2], CallChunk)
    assert json.loads(arguments.arguments) == {"a": ["42", 7], "b": {"c": "42"}}


def test_finish_and_usage_can_be_told() -> None:
    usage = {"input": 5, "output": 6, "cached": 1, "reasoning": 2}
    assert played(rules({"reply": "a", "finish": "length", "usage": usage}))[-1] == Finished(
        reason=FinishReason.LENGTH, usage=Usage(input=5, output=6, cached=1, reasoning=2)
    )


def test_an_empty_reply_is_a_reply() -> None:
    assert [type(event) for event in played(rules({"reply": ""}))] == [Finished]


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"reply": {"txt": "a"}}, ("script", 0, "reply", 0, "txt")),
        ({"reply": "a", "wen": {}}, ("script", 0, "wen")),
        ({"reply": "a", "when": {"contain": "a"}}, ("script", 0, "when", "contain")),
        ({"reply": "a", "when": {"matches": "("}}, ("script", 0, "when", "matches")),
        ({"reply": []}, ("script", 0, "reply")),
        ({"reply": 7}, ("script", 0, "reply")),
        ({"when": {}}, ("script", 0, "reply")),
        ({"reply": {"error": {"status": 200}}}, ("script", 0, "reply", 0, "error", "status")),
        ({"reply": "a", "piece_characters": 0}, ("script", 0, "piece_characters")),
        ({"reply": "a", "pace_seconds": float("nan")}, ("script", 0, "pace_seconds")),
        ({"reply": "a", "times": 0}, ("script", 0, "times")),
        ({"reply": "a", "finish": "whenever"}, ("script", 0, "finish")),
    ],
)
def test_a_mistake_in_a_script_is_told_with_its_place(entry: Any, place: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        rules(entry)
    assert [error["loc"] for error in caught.value.errors()] == [place]


@pytest.mark.parametrize("fields", [{}, {"script": []}, {"script": [{"reply": "a"}], "script_file": "x.yaml"}])
def test_a_scripted_model_has_exactly_one_script(fields: Any) -> None:
    with pytest.raises(ValidationError):
        validate_model({"name": "m", "backend": "scripted", **fields})


def test_the_example_in_the_documentation_is_a_script(tmp_path: Path) -> None:
    documentation = script_module.__doc__ or ""
    example = [line for line in documentation.splitlines() if line.startswith("    ")]
    file = tmp_path / "example.yaml"
    file.write_text("\n".join(example))
    player = Player(read_rules(file))
    asked = Situation(last_user_text="What is 1234 * 5678?")
    calls: list[Chunk] = [event for event in player.play(asked) if isinstance(event, CallChunk)]
    assert calls[0].name == "code_interpreter"  # type: ignore[union-attr]
    answered = Situation(last_tool_result="7006652", after_tool="code_interpreter", tool_results=1)
    assert text_of(player, answered) == "It is 7006652."
    assert text_of(player) == "You said: hello"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("rules: [{reply: {txt: a}}]", r"rules\.0\.reply\.0\.txt: Extra inputs"),
        ("rules: [", "is not YAML"),
        ("", "script: Input should be"),
        ("[]", "script: Input should be"),
        ("rules: []", "rules: .*at least one"),
        ("rules: 7", "rules: Input should be"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_name(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=rf"demo\.yaml' .*{told}"):
        read_rules(file)


def test_a_file_that_cannot_be_read_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml' cannot be read: No such file"):
        read_rules(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"binary\.yaml' is not YAML"):
        read_rules(tmp_path / "binary.yaml")


def test_the_example_is_in_the_commands_help() -> None:
    assert script_module.__doc__
    assert script_module.__doc__ in CliRunner().invoke(paddock, ["scripted", "--help"]).output
