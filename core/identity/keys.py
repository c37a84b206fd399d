"""API keys: who may make, change and revoke which. Nobody makes a key that opens more than their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from core.errors import Conflict, InvalidRequest, PermissionDenied
from core.identity.principals import ALLOWED, Principal, Role, Scope
from core.identity.reach import Reach
from core.identity.secret import SHOWN, digest, new_secret
from core.identity.standing import Standing
from core.storage.audit import AuditRecord
from core.storage.directory import Directory
from core.storage.people import Change, HandedOn, NewKey
from core.storage.records import ApiKey, Page, User

LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """None: as it was."""

    name: str | None = None
    scopes: Sequence[Scope] | None = None
    expires_at: datetime | None = None


class Keys:
    def __init__(self, directory: Directory) -> None:
        self._identities = directory.identities
        self._organizations = directory.organizations
        self._people = directory.people
        self._reach = Reach(directory)
        self._standing = Standing(directory)

    async def create(
        self,
        principal: Principal,
        *,
        name: str,
        scopes: Sequence[Scope],
        expires_at: datetime | None = None,
        organization_id: str | None = None,
        user_id: str | None = None,
    ) -> tuple[ApiKey, str]:
        """Returns the key and its secret, which is kept nowhere.

        user_id: whose key it is; None for the principal's own, or in another organisation its first owner's.
        """
        principal.require(Scope.ADMIN)
        home = await self._reach.organization(principal, organization_id)
        if user_id is None:
            foreign = home != principal.organization_id
            user_id = await self._organizations.first_owner(home) if foreign else principal.user_id
        async with self._people.change(home, by=self._standing.maker(principal)) as change:
            user = await change.user(user_id)
            _may_give(principal, user, scopes)
            _fits_role(user, scopes)
            key, secret = await _make(change, user, name=name, scopes=scopes, expires_at=_future(expires_at))
            await change.note(_told(principal, "key.created", key))
        return key, secret

    async def get(self, principal: Principal, key_id: str) -> ApiKey:
        principal.require(Scope.ADMIN, Scope.AUDIT)
        return await self._identities.key(await self._reach.home_of(principal, "key", key_id), key_id)

    async def list(
        self,
        principal: Principal,
        *,
        kind: str = "key",
        organization_id: str | None = None,
        user_id: str | None = None,
        after: str | None = None,
        limit: int = 20,
        descending: bool = True,
    ) -> Page[ApiKey]:
        """kind: key, or token for the bearer tokens that were seen and have not been forgotten."""
        principal.require(Scope.ADMIN, Scope.AUDIT)
        home = await self._reach.organization(principal, organization_id)
        return await self._identities.keys(home, kind=kind, user_id=user_id, after=after, limit=limit, descending=descending)

    async def update(self, principal: Principal, key_id: str, new: KeyChange) -> ApiKey:
        principal.require(Scope.ADMIN)
        home = await self._reach.home_of(principal, "key", key_id)
        async with self._people.change(home, by=self._standing.maker(principal)) as change:
            key = await change.key(key_id)
            user, given = await change.user(key.user_id), new.scopes or ()
            _may_give(principal, user, [*map(Scope, key.scopes), *given])
            _fits_role(user, given)
            _still_opens(key)
            values = {
                "name": key.name if new.name is None else new.name,
                "scopes": list(key.scopes) if new.scopes is None else [scope.value for scope in new.scopes],
                "expires_at": key.expires_at if new.expires_at is None else _future(new.expires_at),
            }
            changed = await change.set_key(key_id, values)
            await change.note(_told(principal, "key.updated", changed))
        return changed

    async def rotate(self, principal: Principal, key_id: str, *, overlap: timedelta) -> tuple[ApiKey, str]:
        """Another key like it, for as long as it was made for; the old one opens nothing after the overlap.

        It has the old one's tier of limits, and is let into the same tools.
        """
        principal.require(Scope.ADMIN)
        now = datetime.now(UTC)
        home = await self._reach.home_of(principal, "key", key_id)
        async with self._people.change(home, by=self._standing.maker(principal)) as change:
            old = await change.key(key_id)
            user, scopes = await change.user(old.user_id), [Scope(scope) for scope in old.scopes]
            _may_give(principal, user, scopes)
            _fits_role(user, scopes)
            _still_opens(old)
            until = None if old.expires_at is None else now + min(old.expires_at - old.created_at, LATEST - now)
            made = await _make(change, user, name=old.name, scopes=scopes, expires_at=until)
            ends = now + overlap if old.expires_at is None else min(now + overlap, old.expires_at)
            await change.set_key(key_id, {"expires_at": ends} if overlap else {"revoked_at": now})
            await change.note(_told(principal, "key.rotated", made[0], before=old.id))
            for record in _handed_on(principal, made[0], await change.hand_on(old.id, made[0].id, shared=bool(overlap))):
                await change.note(record)
        return made

    async def revoke(self, principal: Principal, key_id: str) -> ApiKey:
        """When this returns, no request passes under the key, and no running turn gets another event into the journal.

        An unstored turn, which is not in the journal, is stopped within a third of a lease. Twice keeps the first time.
        """
        principal.require(Scope.ADMIN)
        home = await self._reach.home_of(principal, "key", key_id)
        async with self._people.change(home, by=self._standing.maker(principal)) as change:
            key = await change.key(key_id)
            _may_end(principal, await change.user(key.user_id), key)
            revoked = await change.set_key(key_id, {"revoked_at": key.revoked_at or datetime.now(UTC)})
            await change.note(_told(principal, "key.revoked", revoked))
        return revoked


def _may_give(principal: Principal, user: User, scopes: Sequence[Scope]) -> None:
    """scopes: with those that the key had. Who holds a key acts as its user."""
    if Scope.OPERATOR in principal.scopes:
        return
    if lacking := set(scopes) - principal.scopes:
        raise PermissionDenied(f"this key cannot give the scope {min(lacking).value!r}, which it lacks")
    _outranked(principal, user)


def _fits_role(user: User, scopes: Sequence[Scope]) -> None:
    """scopes: that are given now; those of an older key, which the role has come to forbid, open nothing and may stay."""
    if useless := set(scopes) - ALLOWED[Role(user.role)]:
        raise InvalidRequest(f"the role {user.role!r} does not allow the scope {min(useless).value!r}", param="scopes")


def _may_end(principal: Principal, user: User, key: ApiKey) -> None:
    """Also a key that opens what one's own does not, so that a leak can be stopped; but nobody's who stands above."""
    if Scope.OPERATOR in principal.scopes:
        return
    if Scope.OPERATOR.value in key.scopes:
        raise PermissionDenied("only an operator ends an operator's key")
    _outranked(principal, user)


def _outranked(principal: Principal, user: User) -> None:
    if user.role == Role.OWNER and principal.role is not Role.OWNER:
        raise PermissionDenied("only an owner changes what belongs to an owner")


def _still_opens(key: ApiKey) -> None:
    if key.kind != "key":
        raise Conflict("a bearer token is its issuer's to change; it can be revoked here", code="not_an_api_key")
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= datetime.now(UTC)):
        raise Conflict(f"the key {key.id!r} was revoked or has expired; make a new one", code="key_ended")


def _future(expires_at: datetime | None) -> datetime | None:
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidRequest("expires_at lies in the past", param="expires_at")
    return expires_at


def _told(principal: Principal, kind: str, key: ApiKey, *, before: str | None = None) -> AuditRecord:
    """before: the key that it takes the place of."""
    told = {"user": key.user_id, "scopes": " ".join(key.scopes), "before": before}
    if key.expires_at is not None:
        told["expires_at"] = f"{key.expires_at:%FT%TZ}"
    return AuditRecord.by(
        principal,
        kind,
        key.id,
        organization_id=key.organization_id,
        details=told,
        subject=key.user_id,
        personal={"name": key.name},
    )


def _handed_on(principal: Principal, key: ApiKey, handed: HandedOn) -> Iterator[AuditRecord]:
    told = partial(AuditRecord.by, principal, organization_id=key.organization_id)
    if handed.tier is not None:
        yield told("limit.changed", key.id, details={"tier": handed.tier})
    for tool, grants in handed.grants.items():
        yield told("tool.changed", tool, details={"grants": " ".join(grants)})


async def _make(
    change: Change, user: User, *, name: str, scopes: Sequence[Scope], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    secret = new_secret()
    key = await change.add_key(
        NewKey(
            user_id=user.id,
            name=name,
            prefix=secret[:SHOWN],
            secret_sha256=digest(secret),
            scopes=[scope.value for scope in scopes],
            expires_at=expires_at,
        )
    )
    assert key is not None, "a random secret was made twice"
    return key, secret
