"""Runs held-out conversations through a Paddock of its own with the stock `openai` package; prints the share of right ones by family.

Everything is real: the server, its engine and its sandbox. Client functions stand in for registry tools and answer what the
conversation recorded. Conversations whose tool results were made up (a sandbox that fails) cannot happen here and are left
out; `evaluate.py` has them. Fails where the aims are missed.
"""

import argparse
import collections
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from openai import OpenAI, OpenAIError

from corpus.exercise import Conversation, Turn, holds
from corpus.mix import conversation
from corpus.notebook import run

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.e2e.paddock import PADDOCK, ROOT, make_home, started

KINDS = {"string": str, "integer": int}
ROUNDS = 4
AIM, AIM_BY_FAMILY = 0.95, 0.85


@dataclass(slots=True)
class Played:
    family: str
    right: bool = True
    valid_calls: int = 0
    calls: int = 0
    miss: dict[str, Any] = field(default_factory=dict)


def playable(script: Conversation) -> bool:
    """Whether a real sandbox gives what the script recorded."""
    return all(reproducible(turn) for turn in script.turns)


def reproducible(turn: Turn) -> bool:
    pairs = [(call, result) for step in turn.rounds for call, result in zip(step.calls, step.results, strict=True)]
    return not turn.expected or all(
        call.name != "code_interpreter" or run(str(call.arguments["code"])) == result for call, result in pairs
    )


def held_out(seed: str, wanted: int) -> Iterator[Conversation]:
    number = 0
    while wanted:
        script = conversation(f"{seed}/{number}", "test")
        number += 1
        if playable(script):
            wanted -= 1
            yield script


class Client:
    """Plays the user and the client's functions in one conversation."""

    def __init__(self, api: OpenAI, model: str) -> None:
        self.api, self.model = api, model

    def play(self, script: Conversation) -> Played:
        played = Played(script.turns[-1].family)
        previous: str | None = None
        for turn in script.turns:
            answer, outputs, previous = self.answer(turn, script, previous, played)
            wanted = turn.expected or tuple(outputs[-1:])
            if not answer or not all(holds(answer, part) for part in wanted):
                played.family, played.right = turn.family, False
                played.miss = {"user": turn.user, "wanted": wanted, "answer": answer}
                break
        return played

    def answer(
        self, turn: Turn, script: Conversation, previous: str | None, played: Played
    ) -> tuple[str, list[str], str | None]:
        """The final text of a turn, what the code printed, and the response to go on from."""
        items: Any = turn.user
        recorded = [
            (call.name, dict(call.arguments), result)
            for step in turn.rounds
            for call, result in zip(step.calls, step.results, strict=True)
        ]
        outputs: list[str] = []
        for _ in range(ROUNDS):
            response = self.api.responses.create(
                model=self.model,
                input=items,
                tools=[offered(tool) for tool in script.tools],
                temperature=0,
                include=["code_interpreter_call.outputs"],
                **({"instructions": script.system} if script.system else {}),
                **({"previous_response_id": previous} if previous else {}),
            )
            previous = response.id
            calls = [item for item in response.output if item.type in ("function_call", "code_interpreter_call")]
            played.calls += len(calls)
            played.valid_calls += sum(fits(item, script) for item in calls)
            outputs += [
                str(output.logs).rstrip()
                for item in calls
                if item.type == "code_interpreter_call"
                for output in item.outputs or []
                if output.type == "logs"
            ]
            asked = [item for item in calls if item.type == "function_call"]
            if not asked:
                return response.output_text, outputs, previous
            items = [
                {
                    "type": "function_call_output",
                    "call_id": item.call_id,
                    "output": replied(item.name, item.arguments, recorded),
                }
                for item in asked
            ]
        return "", outputs, previous


def offered(tool: Any) -> Any:
    function = tool["function"]
    if function["name"] == "code_interpreter":
        return {"type": "code_interpreter", "container": {"type": "auto"}}
    return {"type": "function", "strict": False, **function}


def fits(item: Any, script: Conversation) -> bool:
    if item.type == "code_interpreter_call":
        return bool(item.code)
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in script.tools}
    try:
        schema, arguments = schemas[item.name], json.loads(item.arguments)
    except (KeyError, json.JSONDecodeError):
        return False
    return (
        isinstance(arguments, dict)
        and set(schema["required"]) <= set(arguments) <= set(schema["properties"])
        and all(type(value) is KINDS[schema["properties"][key]["type"]] for key, value in arguments.items())
    )


def replied(name: str, arguments: str, recorded: list[tuple[str, dict[str, Any], str]]) -> str:
    try:
        given = json.loads(arguments)
    except json.JSONDecodeError:
        return json.dumps({"error": "the arguments are no JSON"})
    for wanted_name, wanted, result in recorded:
        if name == wanted_name and given == wanted:
            return result
    return json.dumps({"error": "unexpected arguments"})


CONFIG = """
models:
  - {{name: {with_grammar}, backend: fleet, file: "{file}"}}
  - {{name: {without}, backend: fleet, socket: "{socket}"}}
"""
WITH_GRAMMAR, WITHOUT = "paddock-demo", "without-grammar"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=Path(__file__).parent / "paddock-demo.gguf")
    parser.add_argument("--conversations", type=int, default=500)
    parser.add_argument("--seed", default="held-out")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--misses", type=int, default=0, help="how many wrong answers to show of each family")
    options = parser.parse_args()
    scripts = list(held_out(options.seed, options.conversations))
    with TemporaryDirectory() as folder, serving(Path(folder) / "home", options.file.resolve()) as (url, key):
        with OpenAI(base_url=url, api_key=key, max_retries=5) as api:
            played = play_all(Client(api, WITH_GRAMMAR), scripts, options.parallel)
            good = report("with the engine's grammar", played, options.misses)
            report("without the grammar", play_all(Client(api, WITHOUT), scripts, options.parallel), options.misses)
    raise SystemExit(0 if good else 1)


@contextmanager
def serving(home: Path, file: Path) -> Iterator[tuple[str, str]]:
    """A server of our own as `paddock up` starts it, and beside it an agent that knows no grammar; gives address and key."""
    socket = home / "free.sock"
    make_home(home, CONFIG.format(with_grammar=WITH_GRAMMAR, without=WITHOUT, file=file, socket=socket))
    free = subprocess.Popen(
        [*PADDOCK, "agent", "--model", str(file), "--socket", str(socket), "--no-grammar"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with started(home, home / "output") as up:
            yield up.wait_until_ready() + "/v1", (home / "admin.key").read_text().split()[0]
            up.interrupt()
    finally:
        free.terminate()
        free.wait()


def play_all(client: Client, scripts: list[Conversation], parallel: int) -> list[Played]:
    with ThreadPoolExecutor(parallel) as pool:
        return list(pool.map(lambda script: attempted(client, script), scripts))


def attempted(client: Client, script: Conversation) -> Played:
    try:
        return client.play(script)
    except OpenAIError as error:
        return Played(script.turns[-1].family, right=False, miss={"user": script.turns[-1].user, "error": str(error)})


def report(title: str, played: list[Played], shown: int) -> bool:
    """Prints the shares; whether the model card's aims are met."""
    families: dict[str, list[Played]] = collections.defaultdict(list)
    for one in played:
        families[one.family].append(one)
    shares = {family: sum(one.right for one in ones) / len(ones) for family, ones in families.items()}
    print(f"{title}:")
    for family in sorted(families, key=lambda family: shares[family]):
        ones = families[family]
        print(f"  {family:20} {sum(one.right for one in ones):4}/{len(ones):<4} {shares[family]:6.1%}")
        for one in [one for one in ones if not one.right][:shown]:
            print("      " + json.dumps(one.miss, ensure_ascii=False))
    right = sum(one.right for one in played) / len(played)
    calls, valid = sum(one.calls for one in played), sum(one.valid_calls for one in played)
    print(
        f"  right final answers: {right:.1%} of {len(played)} conversations; calls valid for their schema: {valid} of {calls}"
    )
    return right >= AIM and min(shares.values()) >= AIM_BY_FAMILY and valid == calls


if __name__ == "__main__":
    main()
