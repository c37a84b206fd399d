"""Long texts are tokenised in parts: no model family's splitter ends the agent, and the tokens are those of the whole text."""

import subprocess
import sys
from pathlib import Path
from random import Random

import gguf
import pytest

from core.fleet.agent import vocabulary
from core.fleet.agent.engine import Engine
from core.fleet.agent.vocabulary import Vocabulary
from tests.doubles.tiny_gguf import write_random

TOKENISE = """\
import sys, threading
from pathlib import Path
from core.fleet.agent.engine import Engine
words = Engine(Path(sys.argv[1])).vocabulary
for text in ("a" * 50_000, "Aa" * 25_000, "中" * 50_000):
    thread = threading.Thread(target=lambda: print(len(words.tokenise(text)), flush=True))
    thread.start()
    thread.join()
"""


def model(path: Path, monkeypatch: pytest.MonkeyPatch, splitter: str) -> Path:
    add = gguf.GGUFWriter.add_tokenizer_pre
    with monkeypatch.context() as patch:
        patch.setattr(gguf.GGUFWriter, "add_tokenizer_pre", lambda self, _: add(self, splitter))
        return write_random(path / f"{splitter}.gguf")


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vocabulary:
    return Engine(model(tmp_path, monkeypatch, "tekken")).vocabulary


@pytest.mark.parametrize("splitter", ["tekken", "gpt-4o", "deepseek-llm"])
def test_one_long_run_of_letters_does_not_end_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, splitter: str) -> None:
    command = [sys.executable, "-c", TOKENISE, str(model(tmp_path, monkeypatch, splitter))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout.split()) == (0, ["50000", "50000", "150000"]), done.stderr


def prose(random: Random, length: int) -> str:
    pieces = [
        "the",
        "he",
        "  he",
        ",",
        ".\n",
        "\n\n",
        "\thehe",
        " 123456",
        "don't",
        " é",
        "中文",
        "\n",
        " ",
        "\u00a0he",
        "(x)",
        "/",
    ]
    return " ".join("he he" + "".join(random.choices(pieces, k=7)) for _ in range(length // 15))[:length]


@pytest.mark.parametrize("splitter", ["tekken", "gpt-4o", "qwen2", "llama-bpe", "deepseek-llm", "falcon"])
def test_a_cut_between_words_changes_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, splitter: str) -> None:
    words = Engine(model(tmp_path, monkeypatch, splitter)).vocabulary
    texts = [prose(Random(seed), 900) for seed in range(40)]
    whole = [words.tokenise(text) for text in texts]
    monkeypatch.setattr(vocabulary, "CHARACTERS_AT_ONCE", 100)
    assert all(len(list(words._parts(text))) > 5 for text in texts)
    assert [words.tokenise(text) for text in texts] == whole


def test_no_special_text_is_cut_through(words: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "CHARACTERS_AT_ONCE", 50)
    for before in range(30, 60):
        text = "x" * before + "<|im_start|>" * 3 + "y" * 100
        pieces = [words.piece(token) for token in words.tokenise(text)]
        assert b"".join(pieces).decode() == text
        assert pieces.count(b"<|im_start|>") == 3


@pytest.mark.parametrize("more", ["y", " and more words", "<|im_end|>\n"])
def test_a_text_that_goes_on_is_cut_in_the_same_places(words: Vocabulary, monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    monkeypatch.setattr(vocabulary, "CHARACTERS_AT_ONCE", 50)
    for text in ("z" * 230, prose(Random(1), 400)):
        *parts, _ = words._parts(text)
        assert list(words._parts(text + more * 40))[: len(parts)] == parts
