"""What one streamed event costs in processor, through Paddock (unstored chat, stored response) and through LiteLLM's proxy.

The cost of a long stream less that of a stream of one piece, by the number of pieces that the model sent.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median

from tests.benchmarks import machine
from tests.benchmarks.client import Answer, Request, one_after_another
from tests.benchmarks.figures import Figure
from tests.benchmarks.peers import Missing, litellm
from tests.benchmarks.stand import Served, Stand, piece, streams

SHAPES = {1: (201, 0.005), 50: (101, 0.05), 200: (101, 0.05)}  # streams at once: pieces of each, and the model's pace
CHAT, STORED, PEER = "chat, unstored", "response, stored", "LiteLLM"


@dataclass(frozen=True, slots=True)
class Way:
    server: Served
    path: str

    def request(self, prompt: str) -> Request:
        spoken = {"input": prompt} if self.path.endswith("responses") else {"messages": [{"role": "user", "content": prompt}]}
        return Request.json(self.path, {"model": "scripted", "stream": True, **spoken}, key=self.server.key)


async def measure(stand: Stand, *, rounds: int, seconds: float) -> Sequence[Figure]:
    note = ""
    async with AsyncExitStack() as stack:
        paddock = await stack.enter_async_context(stand.paddock())
        ways = {CHAT: Way(paddock, "/v1/chat/completions"), STORED: Way(paddock, "/v1/responses")}
        try:
            ways[PEER] = Way(await stack.enter_async_context(litellm(stand)), "/v1/chat/completions")
        except Missing as missing:
            note = f"{PEER}: {missing}"
        costs: dict[int, dict[str, list[float]]] = {at_once: {name: [] for name in ways} for at_once in SHAPES}
        for _ in range(rounds + 1):  # the first warms
            for at_once, (pieces, pace) in SHAPES.items():
                for name, way in ways.items():
                    costs[at_once][name].append(await _microseconds_a_piece(way, at_once, pieces, pace))
    return [_figure(name, at_once, costs[at_once], note) for at_once in SHAPES for name in (CHAT, STORED)]


async def _microseconds_a_piece(way: Way, at_once: int, pieces: int, pace: float) -> float:
    short = await _cost(way, at_once, 1, pace, times=2)
    return (await _cost(way, at_once, pieces, pace, times=1) - short) / (pieces - 1) * 1e6


async def _cost(way: Way, at_once: int, pieces: int, pace: float, *, times: int) -> float:
    """Processor seconds of one stream."""

    def whole(answer: Answer) -> bool:
        ended = b"data: [DONE]" in answer.body or b"event: response.completed" in answer.body
        return ended and piece(pieces - 1).encode() in answer.body

    request = way.request(streams(pieces, pace))
    before = machine.cpu_seconds(*way.server.pids)
    await asyncio.gather(*(one_after_another(way.server.address, request, whole, times) for _ in range(at_once)))
    return (machine.cpu_seconds(*way.server.pids) - before) / at_once / times


def _figure(name: str, at_once: int, costs: Mapping[str, Sequence[float]], note: str) -> Figure:
    theirs = costs.get(PEER)
    return Figure(
        what=f"streamed event ({name}), {at_once} at once: processor, database included",
        unit="us",
        ours=median(costs[name][1:]),
        at_most=25 if at_once == 200 else None,
        peer=f"{PEER} chat",
        theirs=None if theirs is None else median(theirs[1:]),
        note=note,
    )
