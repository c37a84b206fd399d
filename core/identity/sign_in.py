"""Who stands behind a request: from the secret that it brings, a key or a bearer token, to a principal."""

from datetime import UTC, datetime

from core.errors import Unauthenticated
from core.identity.admission import Admission
from core.identity.principals import ALLOWED, Principal, Role, Scope
from core.identity.refusals import Refusals
from core.identity.secret import SHOWN, digest, is_secret, new_secret
from core.storage.directory import Directory
from core.storage.people import NewKey
from core.storage.records import Credential


class Identity:
    def __init__(self, directory: Directory, admission: Admission | None = None) -> None:
        """admission: of bearer tokens; None where only keys are taken."""
        self._identities = directory.identities
        self._organizations = directory.organizations
        self._people = directory.people
        self._admission = admission
        self._refusals = Refusals(directory.people)

    async def authenticate(self, token: str, *, request_id: str | None = None) -> Principal:
        """Always asks the database, so that a revocation holds from its commit on, in every process.

        Raises Unauthenticated, and Unavailable when a bearer token's issuer cannot be asked for its keys.
        """
        known = None
        try:
            known = await self._known(token, request_id)
            return _principal(known, request_id)
        except Unauthenticated as exc:
            await self._refusals.sign_in(known, exc.code, request_id)
            raise

    async def refused(self, principal: Principal, action: str, code: str) -> None:
        """Tell the audit log what somebody tried who may not. action: the route's method and template."""
        await self._refusals.access(principal, action, code)

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
        new = NewKey(
            user_id=user_id,
            name="admin",
            prefix=secret[:SHOWN],
            secret_sha256=digest(secret),
            scopes=[scope.value for scope in Scope],
            expires_at=None,
        )
        async with self._people.change(organization_id) as change:
            await change.add_key(new)
        return secret

    async def _known(self, token: str, request_id: str | None) -> Credential:
        """Raises Unauthenticated."""
        if self._admission is not None and token.count(".") == 2:
            return await self._admission.admit(token, request_id)
        known = await self._identities.find(digest(token)) if is_secret(token) else None
        if known is None:
            raise Unauthenticated("the API key is not valid")
        return known


def _principal(known: Credential, request_id: str | None) -> Principal:
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
