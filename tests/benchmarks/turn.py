"""A stored turn with one tool call: Paddock in its sandbox, Agno's AgentOS with a Python function in its own process.

The same scripted model over the same wire, the same PostgreSQL with fsync on; one turn after another, in batches by turns.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from urllib.parse import urlencode

from tests.benchmarks import machine
from tests.benchmarks.client import Answer, Request, one_after_another
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.peers import Missing, agno
from tests.benchmarks.stand import Served, Stand

BATCHES, TURNS = 5, 8  # a round


async def measure(stand: Stand, *, rounds: int, seconds: float) -> Sequence[Figure]:
    note = ""
    async with AsyncExitStack() as stack:
        paddock = await stack.enter_async_context(stand.paddock())
        sides = {"Paddock": (paddock, _response(paddock))}
        try:
            peer = await stack.enter_async_context(agno(stand))
            sides["Agno"] = (peer, _run("compute with run_python"))
        except Missing as missing:
            note = f"Agno: {missing}"
        times: dict[str, list[float]] = {name: [] for name in sides}
        spent: dict[str, list[float]] = {name: [] for name in sides}
        for batch in range(1 + rounds * BATCHES):
            for name, (server, request) in sides.items():
                before = machine.cpu_seconds(*server.pids)
                answers = await one_after_another(server.address, request, _is_answer, TURNS)
                if batch:  # the first warms
                    times[name] += [answer.seconds * 1000 for answer in answers]
                    spent[name].append((machine.cpu_seconds(*server.pids) - before) / TURNS * 1000)
    return _figures(times, spent, note)


def _response(server: Served) -> Request:
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    return Request.json(
        "/v1/responses", {"model": "scripted", "input": "compute with code_interpreter", "tools": [tool]}, key=server.key
    )


def _run(prompt: str) -> Request:
    form = urlencode({"message": prompt, "stream": "false"}).encode()
    return Request("/agents/bench/runs", form, "Content-Type: application/x-www-form-urlencoded\r\n")


def _is_answer(answer: Answer) -> bool:
    return b"It is " in answer.body and b"42" in answer.body


def _figures(times: dict[str, list[float]], spent: dict[str, list[float]], note: str) -> Sequence[Figure]:
    theirs = times.get("Agno")

    def figure(percent: int, wanted: float | None) -> Figure:
        return Figure(
            what=f"stored turn with one tool call: p{percent}",
            unit="ms",
            ours=percentile(times["Paddock"], percent),
            peer="Agno",
            theirs=None if theirs is None else percentile(theirs, percent),
            times=wanted,
            note=note or ("ours in a sandbox, theirs in the server's own process" if percent == 50 else ""),
        )

    cpu = {name: sum(values) / len(values) for name, values in spent.items()}
    return [
        figure(50, 4),
        figure(99, None),
        Figure(
            what="stored turn with one tool call: processor, database and sandbox included",
            unit="ms",
            ours=cpu["Paddock"],
            peer="Agno",
            theirs=cpu.get("Agno"),
            note=note,
        ),
    ]
