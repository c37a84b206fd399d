"""Who is asking. Everything that is done is done by a principal, in one organisation. Knows no route and no key."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.errors import PermissionDenied


class Scope(StrEnum):
    CHAT = "chat"  # everything under /v1
    ADMIN = "admin"  # everything under /admin/v1, for the key's own organisation
    AUDIT = "audit"  # reading under /admin/v1, and exports of the audit log
    OPERATOR = "operator"  # other organisations too: the key that `paddock up` makes has it


class Role(StrEnum):
    OWNER = "owner"  # administers, and alone says who else owns
    ADMIN = "admin"
    MEMBER = "member"  # talks to models
    AUDITOR = "auditor"  # sees what was done, and does nothing


ALLOWED: Mapping[Role, frozenset[Scope]] = {
    Role.OWNER: frozenset(Scope),
    Role.ADMIN: frozenset(Scope),
    Role.MEMBER: frozenset({Scope.CHAT}),
    Role.AUDITOR: frozenset({Scope.AUDIT}),
}
"""A key's scopes count as far as the role of its user allows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """scopes: what the key grants and the role allows. request_id: what is asked with this, for the audit log."""

    organization_id: str
    user_id: str
    key_id: str
    role: Role
    scopes: frozenset[Scope]
    request_id: str | None = None

    @property
    def counted_as(self) -> str:
        """Where keys are counted: the key, or the user of a bearer token, who may fetch any number of them."""
        return self.user_id if self.key_id.startswith("token_") else self.key_id

    def require(self, *scopes: Scope) -> None:
        """One of them is enough. Raises PermissionDenied."""
        if self.scopes.isdisjoint(scopes):
            wanted = " or ".join(repr(scope.value) for scope in scopes)
            raise PermissionDenied(
                f"this needs the scope {wanted}, which the key lacks or the role {self.role.value!r} forbids"
            )
