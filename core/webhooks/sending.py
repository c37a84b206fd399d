"""One attempt to deliver a signed message to an address that somebody chose, and when to try again. Keeps nothing."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from yarl import URL

from core.egress.client import Answer, EgressError, EgressRefused, Judge, Request
from core.webhooks.receiver import Receiver
from core.webhooks.signing import signed

ANSWER_SECONDS = 20.0
ANSWER_BYTES = 1 << 16
GONE = 410
AGAIN_SECONDS = (5.0, 30.0, 120.0, 600.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0)
"""After which attempt how long until the next: nine attempts in about 18 hours."""
SPREAD = 0.2


class NotDelivered(Exception):
    """An attempt that failed. final: another one would fail too. The message names the receiver's host and the cause."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """id: by which receivers know a message that reaches them twice. body: JSON."""

    id: str
    body: bytes = field(repr=False)


class Sender(Protocol):
    """`core.egress.client.Egress`."""

    async def send(self, request: Request, *, seconds: float, body_bytes: int, judge: Judge, redirects: int = 0) -> Answer: ...


class Webhooks:
    def __init__(self, egress: Sender, clock: Callable[[], float] = time.time) -> None:
        self._egress = egress
        self._clock = clock

    async def send(self, receiver: Receiver, message: Message) -> None:
        """Once; delivered when the receiver answers 2xx, to no redirect. Raises NotDelivered."""
        headers = {
            "content-type": "application/json",
            **signed(receiver.key, message.id, int(self._clock()), message.body),
        }
        url = URL(receiver.url)
        request = Request(method="POST", url=url, headers=headers, body=message.body, owner=receiver.owner)
        try:
            answer = await self._egress.send(request, seconds=ANSWER_SECONDS, body_bytes=ANSWER_BYTES, judge=_anywhere)
        except EgressError as exc:
            raise NotDelivered(str(exc), final=isinstance(exc, EgressRefused)) from exc
        if not 200 <= answer.status < 300:
            raise NotDelivered(f"{url.host}: answered {answer.status}", final=answer.status == GONE)


def seconds_until_next(attempts: int) -> float | None:
    """After so many that failed; None when that was the last. Spread, so that messages that failed together part."""
    if attempts > len(AGAIN_SECONDS):
        return None
    return AGAIN_SECONDS[attempts - 1] * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311  # no secret


def _anywhere(method: str, url: URL) -> None:
    """What an address rule lets through is the receiver's."""
