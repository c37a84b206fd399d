"""Resident memory of each process, after the start and after a load; LiteLLM's proxy for comparison."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import machine
from tests.benchmarks.client import crowd
from tests.benchmarks.figures import Figure
from tests.benchmarks.gateway import CLIENTS, chat, is_reply
from tests.benchmarks.peers import Missing, litellm
from tests.benchmarks.stand import ROOT, Served, Stand
from tests.doubles.tiny_gguf import write_random

PROCESSES = {
    "sandbox.host": "sandbox host",
    "sandbox.runtimes": "sandbox worker",
    "core.fleet.agent": "agent",
    "redis-server": "Redis",
}


async def measure(stand: Stand, *, rounds: int, seconds: float) -> Sequence[Figure]:
    async with stand.paddock(stand.provider(), _local_model(stand)) as paddock:
        fresh = machine.memory_mb(paddock.program.pid)[0]
        await crowd(paddock.address, chat(paddock.key), is_reply, clients=CLIENTS, seconds=seconds)
        loaded = machine.memory_mb(paddock.program.pid)[0]
        others = list(_others(paddock))
    theirs, note = await _peer(stand, seconds)
    return [
        Figure(what="gateway: resident memory after the start", unit="MB", ours=fresh, at_most=200),
        Figure(
            what="gateway: resident memory after a load", unit="MB", ours=loaded, at_most=200,
            peer="LiteLLM", theirs=theirs, note=note,
        ),
        *others,
    ]  # fmt: skip


def _local_model(stand: Stand) -> Mapping[str, Any]:
    """The demonstration model where it is; else the smallest that llama.cpp loads, which shows the agent itself."""
    demo = ROOT / "deploy" / "demo-model" / "paddock-demo.gguf"
    file = demo if demo.exists() else stand.folder / "tiny.gguf"
    if file != demo:
        write_random(file)
    return {"name": "local", "backend": "fleet", "file": str(file)}


def _others(paddock: Served) -> Iterator[Figure]:
    found: dict[str, list[tuple[float, float]]] = {}
    for pid in machine.tree(paddock.program.pid)[1:]:
        command = machine.command(pid)
        name = next((name for part, name in PROCESSES.items() if part in command), Path(command.split(" ")[0]).name)
        found.setdefault(name, []).append(machine.memory_mb(pid))
    for name, sizes in sorted(found.items()):
        share = sum(pss for _, pss in sizes) / len(sizes)
        note = f"{len(sizes)} of them; " if len(sizes) > 1 else ""
        yield Figure(
            what=f"{name}: resident memory",
            unit="MB",
            ours=max(rss for rss, _ in sizes),
            note=f"{note}{share:.0f} MB each when shared pages are divided",
        )


async def _peer(stand: Stand, seconds: float) -> tuple[float | None, str]:
    try:
        async with litellm(stand) as peer:
            await crowd(peer.address, chat(peer.key), is_reply, clients=CLIENTS, seconds=seconds)
            return sum(machine.memory_mb(pid)[0] for pid in machine.tree(peer.program.pid)), ""
    except Missing as missing:
        return None, f"LiteLLM: {missing}"
