"""An organisation's webhooks: who is told of its turns in the background and of its batches, and what could not be told."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from core.egress.addresses import AddressRules
from core.errors import InvalidRequest, Unavailable
from core.identity.principals import Principal
from core.ids import new_id
from core.keyring import Keyring
from core.storage.audit import AuditRecord
from core.storage.records import Page
from core.storage.webhooks import Delivery, Endpoint, WebhookStore
from core.webhooks.receiver import check_url
from core.webhooks.signing import new_secret

log = logging.getLogger(__name__)


class Endpoints:
    """Reading asks for nothing: the route has. Each change is in the audit log, without the address, which may be a secret.

    A secret is given once, by who makes it; all others get it sealed.
    """

    def __init__(self, store: WebhookStore, keyring: Keyring, rules: AddressRules) -> None:
        self.store = store
        self._keyring = keyring
        self._rules = rules

    async def reseal(self) -> None:
        """Secrets of a time when another key sealed, or none. What no key here opens stays as it is, and is told."""
        await self.store.reseal(self._keyring.current, self._resealed)

    def _resealed(self, endpoint_id: str, secret: str) -> str:
        try:
            return self._keyring.resealed(secret, owner=endpoint_id)
        except Unavailable as exc:
            log.error("the secret of webhook %s cannot be opened, nothing is sent to it: %s", endpoint_id, exc.message)
            return secret

    async def create(self, principal: Principal, *, url: str, events: Sequence[str]) -> Endpoint:
        """With a new secret. Raises InvalidRequest, Conflict."""
        endpoint_id, secret = new_id("whk"), new_secret()
        record = AuditRecord.by(principal, "webhook.created", endpoint_id, details={"events": " ".join(events)})
        sealed = self._keyring.seal(secret, owner=endpoint_id)
        return replace(await self.store.add(record, url=self._checked(url), events=events, secret=sealed), secret=secret)

    async def update(
        self, principal: Principal, endpoint_id: str, *, url: str | None, events: Sequence[str] | None, enabled: bool | None
    ) -> Endpoint:
        """None: as it was. What waits for a disabled one goes out when it is enabled again, or is given up after a day.

        Raises InvalidRequest, NotFound.
        """
        checked = None if url is None else self._checked(url)
        given = {"url": checked, "events": None if events is None else list(events), "enabled": enabled}
        values = {name: value for name, value in given.items() if value is not None}
        if not values:
            return await self.store.get(principal.organization_id, endpoint_id)
        record = AuditRecord.by(principal, "webhook.updated", endpoint_id, details={"changed": " ".join(values)})
        return await self.store.set(record, values)

    async def rotate(self, principal: Principal, endpoint_id: str) -> Endpoint:
        """Another secret, from the next attempt on. Raises NotFound."""
        record = AuditRecord.by(principal, "webhook.rotated", endpoint_id)
        secret = new_secret()
        sealed = self._keyring.seal(secret, owner=endpoint_id)
        return replace(await self.store.set(record, {"secret": sealed}), secret=secret)

    async def delete(self, principal: Principal, endpoint_id: str) -> None:
        """With all that waits for it. Raises NotFound."""
        await self.store.delete(AuditRecord.by(principal, "webhook.deleted", endpoint_id))

    async def list(self, principal: Principal, *, after: str | None, limit: int, descending: bool) -> Page[Endpoint]:
        return await self.store.list(principal.organization_id, after=after, limit=limit, descending=descending)

    async def get(self, principal: Principal, endpoint_id: str) -> Endpoint:
        return await self.store.get(principal.organization_id, endpoint_id)

    async def send_again(self, principal: Principal, delivery_id: str) -> Delivery:
        """Raises NotFound, and Conflict while it is tried still or its webhook is disabled."""
        return await self.store.send_again(AuditRecord.by(principal, "webhook.sent_again", delivery_id))

    def _checked(self, url: str) -> str:
        try:
            return check_url(url, self._rules)
        except ValueError as exc:
            raise InvalidRequest(f"invalid 'url': {exc}", param="url", code="invalid_value") from exc
