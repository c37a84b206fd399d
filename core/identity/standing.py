"""What a key opens at a moment: when it is presented, and again when a change that it asked for is about to be made."""

from datetime import UTC, datetime
from functools import partial

from core.errors import PermissionDenied, Unauthenticated
from core.identity.principals import ALLOWED, Principal, Role, Scope
from core.storage.directory import Directory
from core.storage.people import Maker
from core.storage.records import Credential


class Standing:
    """A request is let in, and its change waits in line, perhaps behind the revocation of its own key."""

    def __init__(self, directory: Directory) -> None:
        self._identities = directory.identities

    def maker(self, principal: Principal) -> Maker:
        return Maker(organization_id=principal.organization_id, judge=partial(self.judge, principal))

    async def judge(self, principal: Principal) -> None:
        """As when it was presented, some time ago. Raises Unauthenticated, PermissionDenied."""
        known = await self._identities.credential(principal.key_id)
        if known is None:
            raise unknown_key()
        now = principal_of(known, principal.request_id)
        if now.role is not principal.role or not principal.scopes <= now.scopes:
            raise PermissionDenied("what the key opens was changed meanwhile: send the request again", code="key_changed")


def principal_of(known: Credential, request_id: str | None) -> Principal:
    """Raises Unauthenticated."""
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
        request_id=request_id,
    )


def unknown_key() -> Unauthenticated:
    return Unauthenticated("the API key is not valid")
