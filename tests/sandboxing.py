"""How tests open sandboxes and say what to run in them."""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from sandbox import Invocation, Limits, PythonProgram, Stream
from sandbox.guests.build import ensure_guest

GUESTS = Path(__file__).parents[1] / "build" / "guests"  # kept between runs; made by `make`, or by the first test that needs it
_numbers = count()


@cache
def guest() -> Path:
    return ensure_guest(GUESTS, lambda line: None)


# What the open_runtime of each file in sandbox/runtimes takes.
OPTIONS: Mapping[str, Callable[[], Mapping[str, Any]]] = {"wasmtime": lambda: {"guest": guest(), "workers": 4}}


def program(source: str, runtime: str = "wasmtime", **limits: float) -> Invocation:
    """Small limits unless others are said: no test has to wait for long."""
    return Invocation(
        id=f"test-{next(_numbers)}",
        runtime=runtime,
        program=PythonProgram(source=source),
        limits=Limits(**{"cpu_seconds": 5.0, "wall_seconds": 20.0, **limits}),  # type: ignore[arg-type]
    )


def nowhere(_stream: Stream, _data: bytes) -> None:
    """Output that nobody watches."""
