"""Organisations: operators make and stop them, owners name their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from core.errors import Conflict, NotFound, PermissionDenied
from core.identity.principals import Principal, Role, Scope
from core.identity.standing import Standing
from core.storage.audit import Actor, AuditRecord
from core.storage.directory import Directory
from core.storage.records import Organization, Page, User


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationChange:
    """None: as it was."""

    name: str | None = None
    external_id: str | None = None
    active: bool | None = None


class Organizations:
    def __init__(self, directory: Directory) -> None:
        self._store = directory.organizations
        self._standing = Standing(directory)

    async def create(self, principal: Principal, *, name: str, external_id: str | None, owner_name: str) -> Organization:
        """With its first user, who owns it. Raises PermissionDenied, Conflict for a taken external_id."""
        principal.require(Scope.OPERATOR)
        organization, _ = await self._store.add(
            name,
            user_name=owner_name,
            external_id=external_id,
            notes=partial(founded, principal),
            by=self._standing.maker(principal),
        )
        return organization

    async def list(
        self, principal: Principal, *, after: str | None = None, limit: int = 20, descending: bool = True
    ) -> Page[Organization]:
        principal.require(Scope.OPERATOR)
        return await self._store.list(after=after, limit=limit, descending=descending)

    async def get(self, principal: Principal, organization_id: str) -> Organization:
        principal.require(Scope.ADMIN, Scope.AUDIT)
        _reachable(principal, organization_id)
        return await self._store.get(organization_id)

    async def update(self, principal: Principal, organization_id: str, new: OrganizationChange) -> Organization:
        """Deactivating holds like a revocation of all of its keys, until it is taken back.

        Raises PermissionDenied, NotFound, Conflict for the principal's own organisation or a taken external_id.
        """
        principal.require(Scope.ADMIN)
        _reachable(principal, organization_id)
        if new.external_id is not None or new.active is not None:
            principal.require(Scope.OPERATOR)
        if principal.role is not Role.OWNER and Scope.OPERATOR not in principal.scopes:
            raise PermissionDenied("only an owner changes the organization")
        if new.active is False and organization_id == principal.organization_id:
            raise Conflict("nobody deactivates the organization of the key in use", code="own_organization")
        note = partial(_told, principal, "organization.updated")
        return await self._store.set(organization_id, _values(new), note, by=self._standing.maker(principal))


def founded(actor: Actor, organization: Organization, owner: User) -> Iterator[AuditRecord]:
    yield _told(actor, "organization.created", organization)
    yield AuditRecord.by(
        actor,
        "user.created",
        owner.id,
        organization_id=organization.id,
        details={"role": owner.role, "active": True},
        subject=owner.id,
        personal={"name": owner.name},
    )


def _reachable(principal: Principal, organization_id: str) -> None:
    if organization_id != principal.organization_id and Scope.OPERATOR not in principal.scopes:
        raise NotFound(f"no organization {organization_id!r}", code="organization_not_found")


def _told(actor: Actor, kind: str, organization: Organization) -> AuditRecord:
    return AuditRecord.by(
        actor,
        kind,
        organization.id,
        organization_id=organization.id,
        details={"active": organization.deactivated_at is None},
        subject=organization.id,
        personal={"name": organization.name, "external_id": organization.external_id or ""},
    )


def _values(new: OrganizationChange) -> dict[str, Any]:
    """What is to be written."""
    values: dict[str, Any] = {}
    if new.name is not None:
        values["name"] = new.name
    if new.external_id is not None:
        values["external_id"] = new.external_id
    if new.active is not None:
        values["deactivated_at"] = None if new.active else datetime.now(UTC)
    return values
