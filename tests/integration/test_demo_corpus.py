"""The demonstration model's generator, imported from its folder: what is held out and what counts as a right answer."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from sandbox.dispatcher import open_sandbox
from tests.sandboxing import OPTIONS, program

CORPUS = Path(__file__).parents[2] / "deploy" / "demo-model"


@pytest.fixture
def mix(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(CORPUS)
    return import_module("corpus.mix")


@pytest.fixture
def holds(mix: Any) -> Any:
    return import_module("corpus.exercise").holds


def questions(mix: Any, split: str, count: int) -> list[str]:
    return [turn.user for number in range(count) for turn in mix.conversation(f"drawn/{number}", split).turns]


def test_the_test_asks_what_training_never_asked(mix: Any) -> None:
    """Openers can make one sentence of two, so a question in some hundreds comes out alike by chance."""
    trained = set(questions(mix, "train", 900))
    asked = questions(mix, "test", 300)
    assert len([question for question in asked if question in trained]) <= len(asked) // 200


def test_a_seed_always_makes_the_same_conversation(mix: Any) -> None:
    assert mix.conversation("one", "test") == mix.conversation("one", "test")
    assert mix.conversation("one", "test") != mix.conversation("two", "test")


def test_what_the_code_prints_is_what_the_conversation_records(mix: Any) -> None:
    run = import_module("corpus.notebook").run
    turns = [turn for number in range(200) for turn in mix.conversation(f"drawn/{number}", "test").turns]
    pairs = [
        (call.arguments["code"], result)
        for turn in turns
        if turn.family != "errors" and turn.expected
        for step in turn.rounds
        for call, result in zip(step.calls, step.results, strict=True)
        if call.name == "code_interpreter"
    ]
    assert len(pairs) > 100
    assert [code for code, result in pairs if run(code) != result] == []


@pytest.mark.parametrize(
    "code",
    [
        "print(6 * 7)",
        "print(5 / 0)",
        "print(5 % 0)",
        "import math; print(math.sqrt(-16))",
        "import statistics; print(statistics.median([77, 17, 6]))",
    ],
)
async def test_the_generator_runs_code_with_the_words_of_the_sandbox(mix: Any, code: str) -> None:
    async with open_sandbox({"wasmtime": OPTIONS["wasmtime"]()}, permits=1, queue=1) as sandbox:
        outcome = await sandbox.run(program(code, "wasmtime"), lambda stream, data: None)
    assert import_module("corpus.notebook").run(code) == (outcome.stdout + outcome.stderr).decode().rstrip("\n")


@pytest.mark.parametrize(
    ("answer", "part", "right"),
    [
        ("It is 24.", "24", True),
        ("It is 124.", "24", False),
        ("It is -24.", "24", False),
        ("It is 24.5.", "24", False),
        ("It is 24.5.", "24…", True),
        ("It is 240.", "24…", False),
        ("It is 26.0975.", "26.09…", True),
        ("It is ab.", "b", False),
        ("It is ['a', 'b'].", "['a', 'b']", True),
        ("I can't do that.", "can't", True),
    ],
)
def test_an_answer_is_right_where_the_result_stands_by_itself(holds: Any, answer: str, part: str, right: bool) -> None:
    assert holds(answer, part) is right
