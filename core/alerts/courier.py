"""Delivers messages about alerts until they are taken, or given up. One that was cut off is sent again, with the same id."""

import asyncio
import logging
from collections.abc import Mapping

from core.errors import PaddockError
from core.storage.alerts import AlertMessage, AlertStore
from core.webhooks.receiver import Receiver
from core.webhooks.sending import Message, NotDelivered, Webhooks, seconds_until_next

AT_ONCE = 50
log = logging.getLogger(__name__)


class Courier:
    def __init__(self, store: AlertStore, webhooks: Webhooks, receivers: Mapping[str, Receiver]) -> None:
        self._store = store
        self._webhooks = webhooks
        self._receivers = receivers

    async def deliver_due(self) -> None:
        """One attempt each. Raises PaddockError."""
        due = await self._store.due(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for message in due:
                group.create_task(self._deliver(message))

    async def _deliver(self, message: AlertMessage) -> None:
        try:
            await self._attempt(message)
        except PaddockError as exc:
            log.warning("what became of the message %s is not noted, it is sent again: %s", message.id, exc.message)

    async def _attempt(self, message: AlertMessage) -> None:
        receiver = self._receivers.get(message.receiver)
        try:
            if receiver is None:
                raise NotDelivered("the configuration has no such receiver any more", final=True)
            await self._webhooks.send(receiver, Message(id=message.id, body=message.body.encode()))
        except NotDelivered as exc:
            again = None if exc.final else seconds_until_next(message.attempts + 1)
            if again is None:
                log.error("alert %s: the receiver %s could not be told: %s", message.alert_id, message.receiver, exc)
            await self._store.failed(message.id, str(exc), again_seconds=again)
        else:
            await self._store.delivered(message.id)
