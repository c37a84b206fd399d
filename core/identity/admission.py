"""Bearer tokens at the door: each is proved at every request, and becomes a key of the kind `token` when it is first seen.

From then on it is what a key is: its expiry, and the revocation or deactivation of what stands behind it, hold at once and for
running turns. What it opens, and whom it stands for, is at every request what its claims and the settings of today say.
"""

from collections.abc import Sequence
from functools import partial

from core.config import Tokens
from core.errors import NotFound, Unauthenticated
from core.identity.key_set import KeySet
from core.identity.principals import ALLOWED, Role, Scope
from core.identity.secret import digest
from core.identity.tokens import Claims, TokenVerifier, signed_part
from core.storage.audit import AuditRecord
from core.storage.directory import Directory
from core.storage.people import Change, NewKey
from core.storage.records import ApiKey, Credential, User

FORGOTTEN_AFTER_DAYS = 30


class NotAdmitted(Unauthenticated):
    """Of a token that is not known as a key. user_id: `unknown` in an organisation that has no such user."""

    def __init__(self, message: str, *, code: str, organization_id: str, user: User | None) -> None:
        super().__init__(message, code=code)
        self.organization_id = organization_id
        self.user_id = user.id if user else "unknown"


class Admission:
    def __init__(self, settings: Tokens, directory: Directory, keys: KeySet) -> None:
        self._settings = settings
        self._verifier = TokenVerifier(settings, keys)
        self._identities = directory.identities
        self._organizations = directory.organizations
        self._people = directory.people

    async def admit(self, token: str, request_id: str | None) -> Credential:
        """Raises Unauthenticated, ProviderUnavailable."""
        claims = await self._verifier.verify(token)
        fingerprint = digest(f"token {self._settings.organization or ''} {signed_part(token)}")
        known = await self._identities.find(fingerprint)
        if known is None or not self._holds(known, claims):
            if known is not None and not _means(claims, known):
                await self._forget(known)
            await self._sign_in(claims, fingerprint, request_id)
            known = await self._identities.find(fingerprint)
        if known is None or not self._holds(known, claims):  # it was changed again meanwhile
            raise Unauthenticated("the bearer token was withdrawn", code="invalid_token")
        return known

    def _holds(self, known: Credential, claims: Claims) -> bool:
        """What was written down is what would be written now. One that was revoked stays what it is."""
        if known.revoked_at is not None:
            return True
        opens = set(known.scopes) == set(self._scopes(Role(known.role)))
        return _means(claims, known) and known.issuer_role == claims.role and opens

    def _scopes(self, role: Role) -> list[str]:
        return [name for name in self._settings.scopes if Scope(name) in ALLOWED[role]]

    async def _forget(self, known: Credential) -> None:
        """A token that means somebody else now. What runs under it ends."""
        async with self._people.change(known.organization_id) as change:
            for tool, grants in (await change.forget_tokens(known.user_id, only=known.id)).items():
                await change.note(_shut_out(known.organization_id, tool, grants))

    async def _sign_in(self, claims: Claims, fingerprint: str, request_id: str | None) -> None:
        try:
            organization = await self._organizations.named(claims.organization)
        except NotFound as exc:
            raise Unauthenticated("the bearer token's organization is not known here", code="unknown_organization") from exc
        async with self._people.change(organization.id) as change:
            user = await change.user_of(claims.subject)
            refused = partial(NotAdmitted, organization_id=organization.id, user=user)
            if await change.was_revoked(fingerprint):
                raise refused("the bearer token was revoked", code="key_revoked")
            if organization.deactivated_at is not None or (user is not None and user.deactivated_at is not None):
                raise refused("the bearer token's user or organization is deactivated", code="deactivated")
            user = user or await self._new_user(change, claims, request_id)
            role = claims.role or Role(user.role)
            new = NewKey(
                user_id=user.id,
                name="bearer token",
                prefix="",
                secret_sha256=fingerprint,
                scopes=self._scopes(role),
                expires_at=claims.expires_at,
                kind="token",
                role=claims.role and claims.role.value,
            )
            token = await change.add_key(new) or await change.renew_token(new)
            for tool, grants in (await change.forget_old_tokens(user.id, days=FORGOTTEN_AFTER_DAYS)).items():
                await change.note(_shut_out(organization.id, tool, grants))
            if token is not None:
                await change.note(_signed_in(user, token, role, request_id))

    async def _new_user(self, change: Change, claims: Claims, request_id: str | None) -> User:
        """A role that the token names is the token's alone. Raises Unauthenticated."""
        if not self._settings.create_users:
            raise Unauthenticated("the bearer token's subject is not known here", code="unknown_user")
        user = await change.add_user(name=claims.name, role=self._settings.default_role, subject=claims.subject)
        record = AuditRecord(
            kind="user.created",
            organization_id=user.organization_id,
            actor=user.id,
            request_id=request_id,
            object=user.id,
            details={"role": user.role, "by": "identity provider"},
            personal={"name": user.name, "subject": claims.subject},
        )
        await change.note(record)
        return user


def _means(claims: Claims, known: Credential) -> bool:
    """Names change hands: of users and of organisations."""
    return claims.subject == known.subject and claims.organization in (known.external_id, known.organization_id)


def _shut_out(organization_id: str, tool: str, grants: Sequence[str]) -> AuditRecord:
    """Of a tool that let in a token which is forgotten now."""
    return AuditRecord(
        kind="tool.changed",
        organization_id=organization_id,
        actor="system",
        object=tool,
        details={"grants": " ".join(grants)},
    )


def _signed_in(user: User, token: ApiKey, role: Role, request_id: str | None) -> AuditRecord:
    return AuditRecord(
        kind="user.signed_in",
        organization_id=user.organization_id,
        actor=user.id,
        key_id=token.id,
        request_id=request_id,
        object=token.id,
        details={"role": role.value, "scopes": " ".join(token.scopes), "expires_at": f"{token.expires_at:%FT%TZ}"},
    )
