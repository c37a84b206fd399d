"""Users of an organisation and their roles. An organisation always has an active owner."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.errors import Conflict, PermissionDenied
from core.identity.principals import Principal, Role, Scope
from core.identity.reach import Reach
from core.identity.standing import Standing
from core.storage.audit import AuditRecord, Detail
from core.storage.directory import Directory
from core.storage.people import Change
from core.storage.records import Page, User


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """None: as it was."""

    name: str | None = None
    role: Role | None = None
    subject: str | None = None
    active: bool | None = None


class Users:
    def __init__(self, directory: Directory) -> None:
        self._identities = directory.identities
        self._people = directory.people
        self._reach = Reach(directory)
        self._standing = Standing(directory)

    async def create(
        self,
        principal: Principal,
        *,
        name: str,
        role: Role,
        subject: str | None = None,
        organization_id: str | None = None,
    ) -> User:
        """Raises PermissionDenied, NotFound, Conflict for a taken subject."""
        principal.require(Scope.ADMIN)
        _may_own(principal, role)
        home = await self._reach.organization(principal, organization_id)
        async with self._people.change(home, by=self._standing.maker(principal)) as change:
            user = await change.add_user(name=name, role=role.value, subject=subject)
            await change.note(_told(principal, "user.created", user))
        return user

    async def get(self, principal: Principal, user_id: str) -> User:
        principal.require(Scope.ADMIN, Scope.AUDIT)
        return await self._identities.user(await self._reach.home_of(principal, "user", user_id), user_id)

    async def list(
        self,
        principal: Principal,
        *,
        organization_id: str | None = None,
        after: str | None = None,
        limit: int = 20,
        descending: bool = True,
    ) -> Page[User]:
        principal.require(Scope.ADMIN, Scope.AUDIT)
        home = await self._reach.organization(principal, organization_id)
        return await self._identities.users(home, after=after, limit=limit, descending=descending)

    async def update(self, principal: Principal, user_id: str, new: UserChange) -> User:
        """Deactivating holds like a revocation of all of the user's keys, until it is taken back.

        Another subject ends what runs under bearer tokens: whoever has the old one now is whom they mean.
        Raises PermissionDenied, also for the access of an operator, NotFound, Conflict for the last owner or a taken subject.
        """
        principal.require(Scope.ADMIN)
        home = await self._reach.home_of(principal, "user", user_id)
        async with self._people.change(home, by=self._standing.maker(principal)) as change:
            user = await change.user(user_id)
            _may_own(principal, Role(user.role))
            _may_own(principal, new.role)
            values = _values(user, new)
            if (values["role"], values["deactivated_at"]) != (user.role, user.deactivated_at):
                await _may_decide_access(principal, change, user)
            if user.role == Role.OWNER and (values["role"] != Role.OWNER or values["deactivated_at"] is not None):
                await _not_the_last(change, user)
            changed = await change.set_user(user_id, values)
            await change.note(_told(principal, "user.updated", changed))
            if changed.subject != user.subject:
                for record in _shut_out(principal, user, await change.forget_tokens(user_id)):
                    await change.note(record)
        return changed

    async def delete(self, principal: Principal, user_id: str) -> None:
        """The user and all keys are gone, with their limits and the grants to them; what was done under them keeps the ids.

        Raises as `update` does.
        """
        principal.require(Scope.ADMIN)
        home = await self._reach.home_of(principal, "user", user_id)
        async with self._people.change(home, by=self._standing.maker(principal)) as change:
            user = await change.user(user_id)
            _may_own(principal, Role(user.role))
            await _may_decide_access(principal, change, user)
            if user.role == Role.OWNER:
                await _not_the_last(change, user)
            changed = await change.remove_user(user_id)
            await change.note(AuditRecord.by(principal, "user.deleted", user_id, organization_id=user.organization_id))
            for record in _shut_out(principal, user, changed):
                await change.note(record)


def _may_own(principal: Principal, role: Role | None) -> None:
    """role: one that a user has, or shall have."""
    if role is Role.OWNER and principal.role is not Role.OWNER and Scope.OPERATOR not in principal.scopes:
        raise PermissionDenied("only an owner says who owns the organization")


async def _may_decide_access(principal: Principal, change: Change, user: User) -> None:
    """What the user's keys open, of which one may be an operator's though the user's role forbids it now."""
    if Scope.OPERATOR not in principal.scopes and await change.holds(user.id, Scope.OPERATOR.value):
        raise PermissionDenied("only an operator ends, suspends or restores an operator's access")


async def _not_the_last(change: Change, user: User) -> None:
    if not await change.owned_without(user.id):
        raise Conflict("this is the organization's last owner; make somebody else an owner first", code="last_owner")


def _told(principal: Principal, kind: str, user: User) -> AuditRecord:
    told: dict[str, Detail] = {"role": user.role, "active": user.deactivated_at is None}
    return AuditRecord.by(
        principal,
        kind,
        user.id,
        organization_id=user.organization_id,
        details=told,
        subject=user.id,
        personal={"name": user.name, "subject": user.subject or ""},
    )


def _shut_out(principal: Principal, user: User, tools: Mapping[str, Sequence[str]]) -> Iterator[AuditRecord]:
    """tools: that let keys of the user in which are gone now, by name with the grants that are left."""
    for tool, grants in tools.items():
        told = {"grants": " ".join(grants)}
        yield AuditRecord.by(principal, "tool.changed", tool, organization_id=user.organization_id, details=told)


def _values(user: User, new: UserChange) -> dict[str, Any]:
    deactivated_at = user.deactivated_at
    if new.active is not None:
        deactivated_at = None if new.active else user.deactivated_at or datetime.now(UTC)
    return {
        "name": user.name if new.name is None else new.name,
        "role": user.role if new.role is None else new.role.value,
        "subject": user.subject if new.subject is None else new.subject,
        "deactivated_at": deactivated_at,
    }
