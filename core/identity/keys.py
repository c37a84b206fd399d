"""API keys: who stands behind one, making them, revoking them. `pk_` + 8 characters that are shown + 43 that are not."""

import hashlib
import secrets
import string
from collections.abc import Sequence
from datetime import UTC, datetime

from core.errors import InvalidRequest, PermissionDenied, Unauthenticated
from core.identity.principals import ALLOWED, Principal, Role, Scope
from core.storage.identities import IdentityStore
from core.storage.records import ApiKey, Organization, Page

ALPHABET = string.ascii_letters + string.digits
PREFIX_LENGTH, SECRET_LENGTH = 8, 43  # 43 characters of 62 are 256 bits
LENGTH = len("pk_") + PREFIX_LENGTH + SECRET_LENGTH


class Identity:
    def __init__(self, store: IdentityStore) -> None:
        self._store = store

    async def authenticate(self, token: str) -> Principal:
        """Always asks the database, so that a revocation holds from its commit on, in every process.

        Raises Unauthenticated.
        """
        known = None
        if token.startswith("pk_") and len(token) == LENGTH:
            known = await self._store.find(_digest(token))
        if known is None:
            raise Unauthenticated("the API key is not valid")
        if known.revoked_at is not None:
            raise Unauthenticated("the API key was revoked", code="key_revoked")
        if known.expires_at is not None and known.expires_at <= datetime.now(UTC):
            raise Unauthenticated("the API key has expired", code="key_expired")
        if not known.active:
            raise Unauthenticated("the API key's user or organization is deactivated", code="deactivated")
        role = Role(known.role)
        return Principal(
            organization_id=known.organization_id,
            user_id=known.user_id,
            key_id=known.id,
            role=role,
            scopes=ALLOWED[role].intersection(map(Scope, known.scopes)),
        )

    async def create_key(
        self,
        principal: Principal,
        *,
        name: str,
        scopes: Sequence[Scope],
        expires_at: datetime | None = None,
        organization_id: str | None = None,
    ) -> tuple[ApiKey, str]:
        """Returns the key and its secret, which is kept nowhere. Nobody gives a scope that they lack.

        organization_id: another organisation than the principal's own, for operators; its first user owns the key.
        """
        principal.require(Scope.ADMIN)
        if Scope.OPERATOR not in principal.scopes and (lacking := set(scopes) - principal.scopes):
            raise PermissionDenied(f"this key cannot give the scope {min(lacking).value!r}, which it lacks")
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise InvalidRequest("expires_at lies in the past", param="expires_at")
        home, user_id = principal.organization_id, principal.user_id
        if organization_id is not None and organization_id != home:
            principal.require(Scope.OPERATOR)
            home, user_id = organization_id, await self._store.first_user(organization_id)
        return await self._make(home, user_id, name=name, scopes=scopes, expires_at=expires_at)

    async def list_keys(self, principal: Principal, *, after: str | None = None, limit: int = 20) -> Page[ApiKey]:
        principal.require(Scope.ADMIN)
        return await self._store.keys(principal.organization_id, after=after, limit=limit)

    async def revoke_key(self, principal: Principal, key_id: str) -> ApiKey:
        """When this returns, no request passes under the key, and no running turn gets another event into the journal.

        An unstored turn, which is not in the journal, is stopped within a third of a lease.
        """
        principal.require(Scope.ADMIN)
        return await self._store.revoke_key(principal.organization_id, key_id)

    async def create_organization(self, principal: Principal, *, name: str) -> Organization:
        principal.require(Scope.OPERATOR)
        organization, _ = await self._store.add_organization(name, user_name="admin")
        return organization

    async def list_organizations(
        self, principal: Principal, *, after: str | None = None, limit: int = 20
    ) -> Page[Organization]:
        principal.require(Scope.OPERATOR)
        return await self._store.organizations(after=after, limit=limit)

    async def make_first_key(self, present: str | None) -> str | None:
        """The operator's key of a new installation: None when `present`, the one on file, still works; else a new secret.

        A lost key file is no reason to lock the operator out of a machine that is theirs: whoever may start the server may
        have a key.
        """
        if present is not None:
            try:
                await self.authenticate(present)
            except Unauthenticated:
                pass
            else:
                return None
        page = await self._store.organizations(after=None, limit=1)
        if page.rows:
            organization_id = page.rows[0].id
            user_id = await self._store.first_user(organization_id)
        else:
            organization, user_id = await self._store.add_organization("default", user_name="admin")
            organization_id = organization.id
        _, secret = await self._make(organization_id, user_id, name="admin", scopes=list(Scope), expires_at=None)
        return secret

    async def _make(
        self, organization_id: str, user_id: str, *, name: str, scopes: Sequence[Scope], expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        secret = "pk_" + "".join(secrets.choice(ALPHABET) for _ in range(PREFIX_LENGTH + SECRET_LENGTH))
        key = await self._store.add_key(
            organization_id,
            user_id,
            name=name,
            prefix=secret[: len("pk_") + PREFIX_LENGTH],
            secret_sha256=_digest(secret),
            scopes=[scope.value for scope in scopes],
            expires_at=expires_at,
        )
        return key, secret


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
