"""Runs held-out conversations through a running Paddock with the stock `openai` package and prints the share of right ones by family.

Everything is real: the server, its engine and its sandbox. Client functions stand in for registry tools and answer what the
conversation recorded. Conversations whose tool results were made up (a sandbox that fails, a first call that was wrong) cannot
happen here and are left out; `evaluate.py` has them.
"""

import argparse
import collections
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openai import OpenAI, OpenAIError

from corpus.exercise import Conversation, Turn
from corpus.mix import conversation
from corpus.notebook import run

KINDS = {"string": str, "integer": int}
ROUNDS = 4


@dataclass(slots=True)
class Played:
    family: str
    right: bool = True
    valid_calls: int = 0
    calls: int = 0
    miss: dict[str, Any] = field(default_factory=dict)


def playable(script: Conversation) -> bool:
    """Whether a real sandbox gives what the script recorded."""
    return all(turn.family != "correction" and reproducible(turn) for turn in script.turns)


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
            if not answer or not all(part in answer for part in wanted):
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
    return set(schema["required"]) <= set(arguments) <= set(schema["properties"]) and all(
        type(value) is KINDS[schema["properties"][key]["type"]] for key, value in arguments.items()
    )


def replied(name: str, arguments: str, recorded: list[tuple[str, dict[str, Any], str]]) -> str:
    for wanted_name, wanted, result in recorded:
        if name == wanted_name and json.loads(arguments) == wanted:
            return result
    return json.dumps({"error": "unexpected arguments"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", default="http://127.0.0.1:8080/v1")
    parser.add_argument("--api-key", help="else the first line of --key-file")
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--model", default="paddock-demo")
    parser.add_argument("--conversations", type=int, default=600)
    parser.add_argument("--seed", default="held-out")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--misses", type=int, default=0, help="how many wrong answers to show of each family")
    options = parser.parse_args()

    key = options.api_key or options.key_file.read_text().split()[0]
    client = Client(OpenAI(base_url=options.base_url, api_key=key, max_retries=2), options.model)
    began = time.monotonic()
    with ThreadPoolExecutor(options.parallel) as pool:
        played = list(pool.map(lambda script: attempted(client, script), held_out(options.seed, options.conversations)))
    raise SystemExit(report(played, time.monotonic() - began, options.misses))


def attempted(client: Client, script: Conversation) -> Played:
    try:
        return client.play(script)
    except OpenAIError as error:
        return Played(script.turns[-1].family, right=False, miss={"user": script.turns[-1].user, "error": str(error)})


def report(played: list[Played], seconds: float, shown: int) -> int:
    """Prints the shares; 0 where the goals of the model card are met."""
    families: dict[str, list[Played]] = collections.defaultdict(list)
    for one in played:
        families[one.family].append(one)
    shares = {family: sum(one.right for one in ones) / len(ones) for family, ones in families.items()}
    for family in sorted(families, key=lambda family: shares[family]):
        ones = families[family]
        print(f"{family:20} {sum(one.right for one in ones):4}/{len(ones):<4} {shares[family]:6.1%}")
        for one in [one for one in ones if not one.right][:shown]:
            print("    " + json.dumps(one.miss, ensure_ascii=False))
    right = sum(one.right for one in played) / len(played)
    calls, valid = sum(one.calls for one in played), sum(one.valid_calls for one in played)
    print(
        f"right final answers {right:.1%} of {len(played)} conversations; calls valid for their schema {valid}/{calls}; {seconds:.0f} s"
    )
    return 0 if right >= 0.95 and min(shares.values()) >= 0.85 and valid == calls else 1


if __name__ == "__main__":
    main()
