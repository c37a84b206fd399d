"""A `paddock serve` that dies at a named moment. The product knows nothing of it: what it passes on its way is wrapped here.

commit.before.3     the third group of the journal is about to be committed; after: it is, and nobody was told
dispatch.before.1   a dispatch is durable and its tool was not asked; after: the tool has answered, and nothing tells that.
                    Calls that code makes are dispatches too
publish.before.9    events are durable and their readers were not told; after: they were
send.before.9       bytes are about to go to a client; after: they have gone
adopt.before.1      an orphan's lease was taken; after: its turn runs here
"""

import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from itertools import count
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api import gateway, launch
from core.conversations.adoption import Adoption
from core.conversations.feed import Feed
from core.storage.journal import Journal
from core.tools import again

PLACES: dict[str, tuple[Any, str]] = {
    "commit": (Journal, "_commit"),
    "dispatch": (again, "run"),
    "publish": (Feed, "publish"),
    "send": (RequestResponseCycle, "send"),
    "adopt": (Adoption, "take"),
}
MOMENTS = ("before", "after")


def serve(death: str | None, clock_seconds: float) -> None:
    """clock_seconds: how far this replica's clock is ahead of the others'."""
    _shift_clocks(clock_seconds)
    if death is not None:
        place, moment, nth = death.split(".")
        owner, name = PLACES[place]
        setattr(owner, name, _deadly(getattr(owner, name), before=moment == "before", nth=int(nth)))
    gateway.DRAIN_SECONDS = 0  # what runs when it is told to stop is cut off: it would be over in no time
    launch.serve()


def _shift_clocks(seconds: float) -> None:
    """Of our own modules; what is measured by a clock that cannot be set is as it was."""
    true_time = time.time

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=seconds)

    time.time = lambda: true_time() + seconds
    for name, module in list(sys.modules.items()):
        if name.startswith(("api.", "core.")) and getattr(module, "datetime", None) is datetime:
            module.datetime = Shifted  # type: ignore[attr-defined]


def _deadly(passed: Callable[..., Any], *, before: bool, nth: int) -> Callable[..., Any]:
    times = count(1)

    async def later(*arguments: Any, **named: Any) -> Any:
        last = next(times) == nth
        if last and before:
            _die()
        result = await passed(*arguments, **named)
        if last:
            _die()
        return result

    def at_once(*arguments: Any, **named: Any) -> Any:
        last = next(times) == nth
        if last and before:
            _die()
        result = passed(*arguments, **named)
        if last:
            _die()
        return result

    return later if inspect.iscoroutinefunction(passed) else at_once


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
