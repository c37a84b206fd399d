"""A chat completion through Paddock and through LiteLLM's proxy: the time it adds to the model's, and its processor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks import machine
from tests.benchmarks.client import Answer, Request, arrivals, crowd, one_after_another
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.peers import Missing, litellm
from tests.benchmarks.stand import HELLO, REPLY, Served, Stand

CLIENTS = 32
ONE_BY_ONE = 60
PER_SECOND = 40.0  # what LiteLLM still serves at its ease


@dataclass(slots=True)
class Seen:
    """p50, p99: of one request after another, in milliseconds, one value a round. late: the same for an open loop."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    per_cpu_second: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)


async def measure(stand: Stand, *, rounds: int, seconds: float) -> Sequence[Figure]:
    async with stand.paddock() as paddock:
        try:
            async with litellm(stand) as peer:
                seen = await _interleaved(stand, [paddock, peer], rounds, seconds)
                return _figures(seen, "LiteLLM", "")
        except Missing as missing:
            return _figures(await _interleaved(stand, [paddock], rounds, seconds), "", f"LiteLLM: {missing}")


async def _interleaved(stand: Stand, gateways: Sequence[Served], rounds: int, seconds: float) -> Mapping[str, Seen]:
    places = {"directly": (stand.model.removesuffix("/v1"), "none")} | {g.name: (g.address, g.key) for g in gateways}
    seen = {name: Seen() for name in places}
    for address, key in places.values():
        await one_after_another(address, chat(key), is_reply, ONE_BY_ONE // 3)  # warm
    for _ in range(rounds):
        for name, (address, key) in places.items():
            times = [a.seconds * 1000 for a in await one_after_another(address, chat(key), is_reply, ONE_BY_ONE)]
            seen[name].p50.append(median(times))
            seen[name].p99.append(percentile(times, 99))
        for gateway in gateways:
            await _load(gateway, seen[gateway.name], seconds)
    return seen


async def _load(gateway: Served, seen: Seen, seconds: float) -> None:
    request = chat(gateway.key)
    before = machine.cpu_seconds(*gateway.pids)
    answers = await crowd(gateway.address, request, is_reply, clients=CLIENTS, seconds=seconds)
    seen.per_cpu_second.append(answers / (machine.cpu_seconds(*gateway.pids) - before))
    seen.per_second.append(answers / seconds)
    waits = await arrivals(gateway.address, request, is_reply, per_second=PER_SECOND, seconds=seconds)
    seen.late.append(percentile(waits, 99) * 1000)


def chat(key: str) -> Request:
    body = {"model": "scripted", "messages": [{"role": "user", "content": HELLO}]}
    return Request.json("/v1/chat/completions", body, key=key)


def is_reply(answer: Answer) -> bool:
    return REPLY.encode() in answer.body


def _figures(seen: Mapping[str, Seen], peer: str, note: str) -> Sequence[Figure]:
    ours, direct = seen["Paddock"], seen["directly"]
    theirs = seen.get(peer)

    def figure(what: str, unit: str, of: str, *, less: bool = False, more: bool = False, times: float | None = None) -> Figure:
        def value(side: Seen) -> float:
            measured: list[float] = getattr(side, of)
            return median(measured) - (median(getattr(direct, of)) if less else 0.0)

        return Figure(
            what=what,
            unit=unit,
            ours=value(ours),
            peer=peer,
            theirs=None if theirs is None else value(theirs),
            more_is_better=more,
            times=times,
            note=note,
        )

    return [
        figure("chat completion: added latency p50, one at a time", "ms", "p50", less=True),
        figure("chat completion: added latency p99, one at a time", "ms", "p99", less=True),
        figure(
            "chat completion: requests per second of processor, database included", "1/s", "per_cpu_second", more=True, times=10
        ),
        figure(f"chat completion: requests per second, {CLIENTS} clients, one core", "1/s", "per_second", more=True),
        figure(f"chat completion: p99 at {PER_SECOND:g} requests per second (open loop)", "ms", "late"),
    ]
