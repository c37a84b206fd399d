"""Where Paddock is, and cases that are tried one after the other, each told in a line."""

import asyncio
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import TestCase

URL, KEY = os.environ["PADDOCK_URL"], os.environ["PADDOCK_KEY"]
TURNS = ("red", ": red (0 answered)"), ("green", ": red, green (1 answered)"), ("blue", ": red, green, blue (2 answered)")
"""What is said to the model `echo` in one conversation, and what it answers."""

raises = TestCase().assertRaises
_cases: list[Callable[[], Any]] = []


def tools_said(told: str) -> list[str]:
    """Which results of tools `echo` was told, in the order of the alphabet: calls that run together may end in any."""
    return sorted(told.partition(", tools said ")[2].split(", "))


def case(function: Callable[[], Any]) -> Callable[[], Any]:
    """Its name is what is told of it."""
    _cases.append(function)
    return function


def run_cases() -> None:
    """Exits with 1 when one of them failed."""
    failed = 0
    with asyncio.Runner() as runner:
        for function in _cases:
            name = function.__name__.replace("_", " ")
            try:
                done = function()
                if inspect.isawaitable(done):
                    runner.run(done)
                print(f"  ok      {name}", flush=True)
            except Exception as exc:
                failed += 1
                print(f"  FAILED  {name}: {type(exc).__name__}: {exc}", flush=True)
                for frame in traceback.extract_tb(exc.__traceback__):
                    if frame.name == function.__name__:
                        print(f"          {Path(frame.filename).name}:{frame.lineno}: {frame.line}", flush=True)
    sys.exit(1 if failed else 0)
