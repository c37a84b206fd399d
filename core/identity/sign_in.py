"""Who stands behind a request: from the secret that it brings to a principal."""

from datetime import UTC, datetime

from core.errors import Unauthenticated
from core.identity.principals import ALLOWED, Principal, Role, Scope
from core.identity.secret import SHOWN, digest, is_secret, new_secret
from core.storage.directory import Directory
from core.storage.people import NewKey
from core.storage.records import Credential


class Identity:
    def __init__(self, directory: Directory) -> None:
        self._identities = directory.identities
        self._organizations = directory.organizations
        self._people = directory.people

    async def authenticate(self, token: str) -> Principal:
        """Always asks the database, so that a revocation holds from its commit on, in every process.

        Raises Unauthenticated.
        """
        known = await self._identities.find(digest(token)) if is_secret(token) else None
        if known is None:
            raise Unauthenticated("the API key is not valid")
        return _principal(known)

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
        page = await self._organizations.list(after=None, limit=1, descending=False)
        if page.rows:
            organization_id = page.rows[0].id
            user_id = await self._organizations.first_owner(organization_id)
        else:
            organization, user_id = await self._organizations.add("default", user_name="admin")
            organization_id = organization.id
        secret = new_secret()
        async with self._people.change(organization_id) as change:
            await change.add_key(
                NewKey(
                    user_id=user_id,
                    name="admin",
                    prefix=secret[:SHOWN],
                    secret_sha256=digest(secret),
                    scopes=[scope.value for scope in Scope],
                    expires_at=None,
                )
            )
        return secret


def _principal(known: Credential) -> Principal:
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
    )
