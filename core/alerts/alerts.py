"""Alerts as operators look at them. Who may is decided here."""

from collections.abc import Sequence

from core.identity.principals import Principal, Scope
from core.storage.alerts import Alert, AlertMessage, AlertStore
from core.storage.records import Page


class Alerts:
    def __init__(self, store: AlertStore) -> None:
        self._store = store

    async def page(
        self, principal: Principal, *, firing: bool | None, after: str | None, limit: int, descending: bool
    ) -> Page[Alert]:
        """firing: None for all. Raises PermissionDenied, InvalidRequest."""
        principal.require(Scope.OPERATOR)
        return await self._store.page(firing=firing, after=after, limit=limit, descending=descending)

    async def get(self, principal: Principal, alert_id: str) -> tuple[Alert, Sequence[AlertMessage]]:
        """With what was told, and to whom. Raises PermissionDenied, NotFound."""
        principal.require(Scope.OPERATOR)
        return await self._store.get(alert_id)
