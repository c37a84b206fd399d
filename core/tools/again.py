"""Runs work of no effect again when its sandbox host went away under it, or is not there yet. Knows no tool."""

import asyncio
from collections.abc import Callable

from core.tools.definition import Effect
from core.tools.work import Work, Workshop
from sandbox import HostGone, OnCall, OnOutput, Outcome, refuse_calls

Answering = Callable[[], OnCall]
"""Gives what answers the calls of code: asked each time that it runs, as it then makes its first call again."""

PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Longer, all in all, than a host takes to be started again."""


def refusing() -> OnCall:
    return refuse_calls


async def run(work: Work, effect: Effect, workshop: Workshop, on_output: OnOutput, answering: Answering) -> Outcome:
    """Raises SandboxError; HostGone at once for what may have taken effect."""
    for seconds in PAUSES_SECONDS if effect is Effect.PURE else ():
        try:
            return await work.run(workshop, on_output, answering())
        except HostGone:
            await asyncio.sleep(seconds)
    return await work.run(workshop, on_output, answering())
