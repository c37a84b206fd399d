"""In which organisation a principal's change happens. What is elsewhere is not there, except for operators."""

from core.errors import NotFound
from core.identity.principals import Principal, Scope
from core.storage.directory import Directory


class Reach:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def organization(self, principal: Principal, organization_id: str | None) -> str:
        """organization_id: the one that was asked for; None for the principal's own. Raises NotFound."""
        if organization_id is None or organization_id == principal.organization_id:
            return principal.organization_id
        if Scope.OPERATOR not in principal.scopes:
            raise NotFound(f"no organization {organization_id!r}", code="organization_not_found")
        return (await self._directory.organizations.get(organization_id)).id

    async def home_of(self, principal: Principal, kind: str, object_id: str) -> str:
        """The organisation to look for a user or a key in. Raises NotFound, to operators alone: to others the look tells."""
        if Scope.OPERATOR not in principal.scopes:
            return principal.organization_id
        return await self._directory.identities.organization_of(kind, object_id)
