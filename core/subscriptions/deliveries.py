"""Makes the deliveries that are due, in any number of processes. One that was cut off is made again, with the same id."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from core.errors import PaddockError, Unavailable
from core.keyring import Keyring
from core.storage.webhooks import Due, WebhookStore
from core.webhooks.receiver import Receiver
from core.webhooks.sending import Message, NotDelivered, Webhooks, seconds_until_next
from core.webhooks.signing import key_of

AT_ONCE = 32
SHARE, SHARE_OF_ORGANIZATION = 4, 8
"""How many of these one endpoint, and all endpoints of an organisation, begin with, and get when they have fewer."""
LOOK_SECONDS = 1.0
log = logging.getLogger(__name__)


class Deliveries:
    def __init__(self, store: WebhookStore, webhooks: Webhooks, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring
        self._webhooks = webhooks
        self._going: Counter[str] = Counter()  # by endpoint
        self._going_of: Counter[str] = Counter()  # by organisation
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. A receiver that is slow keeps its share of AT_ONCE busy, and no other waiting."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._over.clear()
                due = await self._take()
                for delivery in due:
                    self._going[delivery.endpoint_id] += 1
                    self._going_of[delivery.organization_id] += 1
                    group.create_task(self._deliver(delivery), name=delivery.id)
                if not due:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await self._over.wait()

    async def _take(self) -> Sequence[Due]:
        room = AT_ONCE - self._going.total()
        try:
            busy = [endpoint for endpoint, going in self._going.items() if going >= SHARE]
            busy += [organization for organization, going in self._going_of.items() if going >= SHARE_OF_ORGANIZATION]
            if not room:
                return ()
            return await self._store.take(room, share=SHARE, share_of_organization=SHARE_OF_ORGANIZATION, busy=busy)
        except PaddockError as exc:
            log.warning("webhooks have to wait: %s", exc.message)
            return ()

    async def _deliver(self, due: Due) -> None:
        try:
            await self._attempt(due)
        except PaddockError as exc:
            log.warning("what became of %s is not noted, it is sent again: %s", due.id, exc.message)
        finally:
            self._going[due.endpoint_id] -= 1
            self._going_of[due.organization_id] -= 1
            self._going += Counter()  # forgets who has none
            self._going_of += Counter()
            self._over.set()

    async def _attempt(self, due: Due) -> None:
        message = Message(id=due.id, body=_body(due))
        try:
            receiver = Receiver(url=due.url, key=self._key_of(due), owner=due.organization_id)
            await self._webhooks.send(receiver, message)
        except NotDelivered as exc:
            again = None if exc.final else seconds_until_next(due.attempts)
            if again is None:
                log.warning("%s is given up: %s", due.id, exc)
            await self._store.failed(due.id, str(exc), again_seconds=again)
        else:
            await self._store.delivered(due.id)

    def _key_of(self, due: Due) -> bytes:
        try:
            return key_of(self._keyring.open(due.secret, owner=due.endpoint_id))
        except Unavailable as exc:
            log.error("the secret of webhook %s cannot be opened: %s", due.endpoint_id, exc.message)
            raise NotDelivered("its secret cannot be opened by this server") from exc


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
