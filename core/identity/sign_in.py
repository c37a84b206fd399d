"""Who stands behind a request: from the secret that it brings, a key or a bearer token, to a principal."""

from core.errors import PaddockError, Unauthenticated
from core.identity.admission import Admission, NotAdmitted
from core.identity.key_set import ProviderUnavailable
from core.identity.principals import Principal
from core.identity.refusals import Refusal, Refusals
from core.identity.secret import digest, is_secret
from core.identity.standing import principal_of, unknown_key
from core.storage.directory import Directory
from core.storage.records import Credential


class Identity:
    def __init__(self, directory: Directory, admission: Admission | None = None) -> None:
        """admission: of bearer tokens; None where only keys are taken."""
        self._identities = directory.identities
        self._admission = admission
        self.refusals = Refusals(directory.people)

    async def authenticate(self, token: str, *, request_id: str | None = None) -> Principal:
        """Always asks the database, so that a revocation holds from its commit on, in every process.

        Raises Unauthenticated, and Unavailable when a bearer token's issuer cannot be asked for its keys.
        """
        known = None
        try:
            known = await self._known(token, request_id)
            return principal_of(known, request_id)
        except (Unauthenticated, ProviderUnavailable) as exc:
            await self.refusals.tell(_sign_in_refused(exc, known), request_id)
            raise

    async def turned_away(self, error: Unauthenticated, request_id: str | None) -> None:
        """Tell the audit log of somebody who brought no secret at all."""
        await self.refusals.tell(_sign_in_refused(error, None), request_id)

    async def refused(self, principal: Principal, action: str, code: str) -> None:
        """Tell the audit log what somebody tried who may not. action: the route's method and template."""
        who = {"organization_id": principal.organization_id, "actor": principal.user_id, "key_id": principal.key_id}
        await self.refusals.tell(Refusal(kind="access.refused", code=code, action=action, **who), principal.request_id)

    async def _known(self, token: str, request_id: str | None) -> Credential:
        """Raises Unauthenticated."""
        if self._admission is not None and token.count(".") == 2:
            return await self._admission.admit(token, request_id)
        known = await self._identities.find(digest(token)) if is_secret(token) else None
        if known is None:
            raise unknown_key()
        return known


def _sign_in_refused(error: PaddockError, known: Credential | None) -> Refusal:
    """known: the key or token that opens nothing any more; None when nobody knows what was brought."""
    who: dict[str, str] = {}
    if known is not None:
        who = {"organization_id": known.organization_id, "actor": known.user_id, "key_id": known.id}
    elif isinstance(error, NotAdmitted):
        who = {"organization_id": error.organization_id, "actor": error.user_id}
    return Refusal(kind="sign_in.refused", code=error.code, **who)
