"""`python -m tests.benchmarks [gateway turn streaming memory sandbox]`: measures, prints, and keeps the figures in .bench/."""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks import gateway, machine, memory, streaming, turn
from tests.benchmarks.figures import Figure, store, table
from tests.benchmarks.stand import ROOT, Stand, open_stand

Measure = Callable[..., Awaitable[Sequence[Figure]]]
ON_THE_STAND: dict[str, Measure] = {
    "gateway": gateway.measure,
    "turn": turn.measure,
    "streaming": streaming.measure,
    "memory": memory.measure,
}
KEPT = ROOT / ".bench"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Speed and memory, against peers.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join([*ON_THE_STAND, 'sandbox'])}; all when none")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "3")), help="how often, interleaved")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SECONDS", "3")), help="of each load")
    options = parser.parse_args()
    if unknown := set(options.names) - {*ON_THE_STAND, "sandbox"}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    names = options.names or [*ON_THE_STAND, "sandbox"]
    about = machine.about(ROOT)
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    figures = asyncio.run(_on_the_stand([name for name in names if name != "sandbox"], options.rounds, options.seconds))
    if figures:
        file = store(KEPT, f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{about['commit'] or 'unknown'}", figures, about)
        print(f"\n{table(figures)}\n\nkept in {file.relative_to(ROOT)}", flush=True)
    if "sandbox" in names:
        print(flush=True)
        sys.exit(subprocess.run([sys.executable, "-m", "tests.benchmarks.sandbox"], cwd=ROOT).returncode)


async def _on_the_stand(names: Sequence[str], rounds: int, seconds: float) -> Sequence[Figure]:
    if not names:
        return []
    KEPT.mkdir(mode=0o700, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="paddock-bench-"))
    try:
        async with open_stand(folder, KEPT) as stand:
            return [figure for name in names for figure in await _one(name, stand, rounds, seconds)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _one(name: str, stand: Stand, rounds: int, seconds: float) -> Sequence[Figure]:
    print(f"{name} ...", flush=True)
    return await ON_THE_STAND[name](stand, rounds=rounds, seconds=seconds)


if __name__ == "__main__":
    main()
