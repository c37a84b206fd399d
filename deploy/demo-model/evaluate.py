"""Runs held-out conversations through the GGUF in llama.cpp, greedily, and prints the share of right ones by family.

The prompt is the chat template's, the code calls are really run, and registry tools give back what the conversation recorded. Right means: every
final answer of the conversation holds what it must, and every call is valid for its tool's schema. Needs `llama-cpp-python`.
"""

import argparse
import collections
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llama_cpp import Llama

from corpus.draw import Split
from corpus.exercise import Conversation, Turn, holds
from corpus.messages import END, rendered
from corpus.mix import CODE_INTERPRETER, conversation

HERE = Path(__file__).parent
FREEFORM = HERE / "freeform.jsonl"
CODE_SECONDS = 10
CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.S)
ROUNDS = 4
KINDS = {"string": str, "integer": int}


@dataclass(slots=True)
class Tally:
    right: int = 0
    all: int = 0
    misses: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Calls:
    valid: int = 0
    all: int = 0


class Player:
    """Plays the user's and the tools' part of one conversation after the other."""

    def __init__(self, engine: Llama) -> None:
        self.engine, self.calls = engine, Calls()
        self.tokens, self.seconds = 0, 0.0

    def play(self, script: Conversation) -> list[tuple[Turn, str, bool]]:
        """Each turn with the model's final answer and whether it is right; stops after the first wrong one."""
        messages: list[dict[str, Any]] = [{"role": "system", "content": script.system}] if script.system else []
        played = []
        for turn in script.turns:
            messages.append({"role": "user", "content": turn.user})
            answer, outputs = self.answer(messages, script, turn)
            right = bool(answer) and all(holds(answer, part) for part in turn.expected or outputs[-1:])
            played.append((turn, answer, right))
            if not right:
                break
        return played

    def answer(self, messages: list[dict[str, Any]], script: Conversation, turn: Turn) -> tuple[str, list[str]]:
        recorded = [result for step in turn.rounds for result in step.results]
        outputs: list[str] = []
        for _ in range(ROUNDS):
            text = self.complete(rendered(messages, script.tools, open_end=True))
            calls = [self.parsed(call, script) for call in CALL.findall(text)]
            content = CALL.sub("", text).strip()
            messages.append(
                {"role": "assistant", "content": content or None, "tool_calls": [{"function": call} for call in calls if call]}
            )
            if not calls:
                return content, outputs
            if None in calls:
                return f"(invalid call) {text}", outputs
            for call in calls:
                result = self.result(call or {}, turn, recorded, len(outputs))
                outputs.append(result)
                messages.append({"role": "tool", "content": result})
        return "", outputs

    def result(self, call: dict[str, Any], turn: Turn, recorded: list[str], place: int) -> str:
        """What the script recorded, for the calls that it foresaw or has fail; other code is run, other tools refuse."""
        wanted = [(made.name, dict(made.arguments)) for step in turn.rounds for made in step.calls]
        if place < len(recorded) and (turn.family == "errors" or (call["name"], call["arguments"]) == wanted[place]):
            return recorded[place]
        if call["name"] == "code_interpreter":
            return executed(call["arguments"]["code"])
        return json.dumps({"error": "unexpected arguments"})

    def parsed(self, text: str, script: Conversation) -> dict[str, Any] | None:
        self.calls.all += 1
        schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in script.tools}
        try:
            call = json.loads(text)
            schema, arguments = schemas[call["name"]], call["arguments"]
        except (json.JSONDecodeError, KeyError, TypeError):
            return None
        fits = (
            isinstance(arguments, dict)
            and set(schema["required"]) <= set(arguments) <= set(schema["properties"])
            and all(type(value) is KINDS[schema["properties"][key]["type"]] for key, value in arguments.items())
        )
        self.calls.valid += fits
        return call if fits else None

    def complete(self, prompt: str) -> str:
        began = time.perf_counter()
        tokens = self.engine.tokenize(prompt.encode(), add_bos=False, special=True)
        stop = self.engine.token_eos()
        made: list[int] = []
        if len(tokens) >= self.engine.n_ctx():
            return ""  # what its code printed leaves no room
        for token in self.engine.generate(tokens, temp=0.0, repeat_penalty=1.0):
            if token == stop or len(made) >= 400 or len(tokens) + len(made) >= self.engine.n_ctx() - 1:
                break
            made.append(token)
        self.tokens += len(made)
        self.seconds += time.perf_counter() - began
        return self.engine.detokenize(made, special=True).decode(errors="replace").removesuffix(END)


def executed(code: str) -> str:
    """By a process of its own: what a model writes may loop for ever or end its interpreter."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "corpus.notebook"],
            input=code,
            capture_output=True,
            text=True,
            cwd=HERE,
            timeout=CODE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"limit exceeded: wall_seconds ({CODE_SECONDS} s)"
    return done.stdout.removesuffix("\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--conversations", type=int, default=600)
    parser.add_argument("--seed", default="held-out")
    parser.add_argument("--known", action="store_true", help="training's own wordings with new numbers instead")
    parser.add_argument("--freeform", action="store_true", help="the questions typed by hand in freeform.jsonl instead")
    parser.add_argument("--misses", type=int, default=0, help="how many wrong answers to show of each family")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    player = Player(Llama(str(options.model), n_ctx=1024, n_threads=options.threads, verbose=False))
    families: dict[str, Tally] = collections.defaultdict(Tally)
    turns = Tally()
    split: Split = "train" if options.known else "test"
    made = (conversation(f"{options.seed}/{number}", split) for number in range(options.conversations))
    for script in freeform() if options.freeform else made:
        played = player.play(script)
        tally = families[played[-1][0].family]
        tally.all += 1
        tally.right += played[-1][2]
        turns.all += len(played)
        turns.right += sum(right for _, _, right in played)
        if not played[-1][2]:
            turn, answer, _ = played[-1]
            tally.misses.append(
                {
                    "user": turn.user,
                    "wanted": [dict(call.arguments) for step in turn.rounds for call in step.calls],
                    "expected": turn.expected,
                    "answer": answer,
                }
            )
    report(families, turns, player, options.misses)


def freeform() -> Iterator[Conversation]:
    for line in FREEFORM.read_text().splitlines():
        typed = json.loads(line)
        turn = Turn(family="freeform", user=typed["user"], answer="", expected=tuple(typed["expected"]))
        yield Conversation(family="freeform", turns=(turn,), tools=(CODE_INTERPRETER,))


def report(families: dict[str, Tally], turns: Tally, player: Player, shown: int) -> None:
    for family, tally in sorted(families.items(), key=lambda item: item[1].right / item[1].all):
        print(f"{family:20} {tally.right:4}/{tally.all:<4} {tally.right / tally.all:6.1%}")
        for miss in tally.misses[:shown]:
            print("    " + json.dumps(miss, ensure_ascii=False))
    right, total = sum(tally.right for tally in families.values()), sum(tally.all for tally in families.values())
    print(f"{'conversations':20} {right:4}/{total:<4} {right / total:6.1%}")
    print(f"{'turns':20} {turns.right:4}/{turns.all:<4} {turns.right / turns.all:6.1%}")
    print(
        f"valid calls {player.calls.valid}/{player.calls.all}; {player.tokens / max(player.seconds, 1e-9):.0f} tokens/s, prompts included"
    )


if __name__ == "__main__":
    main()
