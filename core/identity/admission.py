"""Bearer tokens at the door: each is proved at every request, and becomes a key of the kind `token` when it is first seen.

From then on it is what a key is: its expiry, and the revocation or deactivation of what stands behind it, hold at once and for
running turns.
"""

from collections.abc import Sequence

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


class Deactivated(Unauthenticated):
    """Of a token that nobody has seen yet. user_id: `unknown` in an organisation that has no such user."""

    code = "deactivated"

    def __init__(self, organization_id: str, user: User | None) -> None:
        super().__init__("the bearer token's user or organization is deactivated")
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
        if known is None:
            await self._sign_in(claims, fingerprint, request_id)
            known = await self._identities.find(fingerprint)
        if known is None:
            raise Unauthenticated("the bearer token was withdrawn", code="invalid_token")
        return known

    async def _sign_in(self, claims: Claims, fingerprint: str, request_id: str | None) -> None:
        try:
            organization = await self._organizations.named(claims.organization)
        except NotFound as exc:
            raise Unauthenticated("the bearer token's organization is not known here", code="unknown_organization") from exc
        async with self._people.change(organization.id) as change:
            user = await change.user_of(claims.subject)
            if organization.deactivated_at is not None or (user is not None and user.deactivated_at is not None):
                raise Deactivated(organization.id, user)
            user = user or await self._new_user(change, claims, request_id)
            role = claims.role or Role(user.role)
            token = await change.add_key(
                NewKey(
                    user_id=user.id,
                    name="bearer token",
                    prefix="",
                    secret_sha256=fingerprint,
                    scopes=[name for name in self._settings.scopes if Scope(name) in ALLOWED[role]],
                    expires_at=claims.expires_at,
                    kind="token",
                    role=claims.role and claims.role.value,
                )
            )
            for tool, grants in (await change.forget_tokens(user.id, days=FORGOTTEN_AFTER_DAYS)).items():
                await change.note(_shut_out(user, tool, grants))
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


def _shut_out(user: User, tool: str, grants: Sequence[str]) -> AuditRecord:
    """Of a tool that let in a token which is forgotten now."""
    return AuditRecord(
        kind="tool.changed",
        organization_id=user.organization_id,
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
