"""`python -m tests.benchmarks [name ...]`: measures, prints, and keeps the figures in .bench/."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from core.errors import PaddockError
from tests.benchmarks import audit, gate, gateway, limits, machine, memory, observability, registry, sandbox, streaming, turn
from tests.benchmarks.client import Failed
from tests.benchmarks.durable import measure as durable
from tests.benchmarks.figures import Figure, store, table
from tests.benchmarks.stand import ROOT, open_stand

Measure = Callable[..., Awaitable[Sequence[Figure]]]
ON_THE_STAND: dict[str, Measure] = {
    "gateway": gateway.measure,
    "turn": turn.measure,
    "durable": durable.measure,
    "streaming": streaming.measure,
    "memory": memory.measure,
    "registry": registry.measure,
}
ON_ONE_CORE = {"gateway", "streaming"}
KEPT = ROOT / ".bench"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Speed and memory, against peers.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join([*ON_THE_STAND, *ALONE])}; all when none")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "3")), help="how often, interleaved")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SECONDS", "3")), help="of each load")
    options = parser.parse_args()
    if unknown := set(options.names) - {*ON_THE_STAND, *ALONE}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    about = machine.about(ROOT)
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    figures: list[Figure] = []
    failures: list[str] = []
    for name in options.names or [*ON_THE_STAND, *ALONE]:
        print(f"{name} ...", flush=True)
        try:
            figures += ALONE[name]() if name in ALONE else asyncio.run(_on_a_stand(name, options.rounds, options.seconds))
        except (Failed, PaddockError, ExceptionGroup) as exc:
            failures.append(f"{name} failed: {exc}")
    file = store(KEPT, f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{about['commit'] or 'unknown'}", figures, about)
    print("", table(figures), "", f"kept in {file.relative_to(ROOT)}", *failures, sep="\n")
    return 1 if failures else 0


async def _on_a_stand(name: str, rounds: int, seconds: float) -> Sequence[Figure]:
    KEPT.mkdir(mode=0o700, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="paddock-bench-"))
    try:
        async with open_stand(folder, KEPT, pinned=name in ON_ONE_CORE) as stand:
            return await ON_THE_STAND[name](stand, rounds=rounds, seconds=seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sandbox() -> Sequence[Figure]:
    found = sandbox.main()
    figures = [
        Figure(
            what=f"fresh print(6*7) in a sandbox: {percentile}",
            unit="ms",
            ours=found[f"paddock: {percentile} ms"],
            peer=peer,
            theirs=found.get(f"{peer}: {percentile} ms"),
            at_most=2.5 if percentile == "p50" else None,
            note="" if f"{peer}: {percentile} ms" in found else f"{peer}: needs a Python 3.12",
        )
        for peer in ("python -c", "pyeryx")
        for percentile in ("p50", "p99")
    ]
    rates = {name: value for name, value in found.items() if name.endswith("runs/s")}
    return [*figures, *(Figure(what=f"fresh print(6*7): {name}", unit="1/s", ours=rate) for name, rate in rates.items())]


ALONE: dict[str, Callable[[], Sequence[Figure]]] = {
    "sandbox": _sandbox,
    "gate": gate.measure,
    "audit": audit.measure,
    "limits": limits.measure,
    "observability": observability.measure,
}


if __name__ == "__main__":
    sys.exit(main())
