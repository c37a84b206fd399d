"""Makes the deliveries that are due, in any number of processes. One that was cut off is made again, with the same id."""

import asyncio
import json
import logging

from core.errors import PaddockError
from core.storage.webhooks import Due, WebhookStore
from core.webhooks.receiver import Receiver
from core.webhooks.sending import Message, NotDelivered, Webhooks, seconds_until_next
from core.webhooks.signing import key_of

AT_ONCE = 32
LOOK_SECONDS = 1.0
log = logging.getLogger(__name__)


class Deliveries:
    def __init__(self, store: WebhookStore, webhooks: Webhooks) -> None:
        self._store = store
        self._webhooks = webhooks
        self._going = 0

    async def run(self) -> None:
        """Until cancelled. A receiver that is slow keeps one of AT_ONCE busy, not the others."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    due = await self._store.take(AT_ONCE - self._going) if self._going < AT_ONCE else ()
                except PaddockError as exc:
                    log.warning("webhooks have to wait: %s", exc.message)
                    due = ()
                for delivery in due:
                    self._going += 1
                    group.create_task(self._deliver(delivery), name=delivery.id)
                if not due:
                    await asyncio.sleep(LOOK_SECONDS)

    async def _deliver(self, due: Due) -> None:
        try:
            await self._attempt(due)
        except PaddockError as exc:
            log.warning("what became of %s is not noted, it is sent again: %s", due.id, exc.message)
        finally:
            self._going -= 1

    async def _attempt(self, due: Due) -> None:
        message = Message(id=due.id, body=_body(due))
        try:
            await self._webhooks.send(Receiver(url=due.url, key=key_of(due.secret)), message)
        except NotDelivered as exc:
            again = None if exc.final else seconds_until_next(due.attempts)
            if again is None:
                log.warning("%s is given up: %s", due.id, exc)
            await self._store.failed(due.id, str(exc), again_seconds=again)
        else:
            await self._store.delivered(due.id)


def _body(due: Due) -> bytes:
    """As OpenAI's webhooks have it: what happened to which object; what it holds is read through the API."""
    told = {
        "id": due.id,
        "object": "event",
        "created_at": int(due.created_at.timestamp()),
        "type": due.event,
        "data": {"id": due.object_id},
    }
    return json.dumps(told, separators=(",", ":")).encode()
