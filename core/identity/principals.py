"""Who is asking. Everything that is done is done by a principal, in one organisation."""

from dataclasses import dataclass
from enum import StrEnum

from core.errors import PermissionDenied


class Scope(StrEnum):
    CHAT = "chat"  # everything under /v1
    ADMIN = "admin"  # everything under /admin/v1, for the key's own organisation
    OPERATOR = "operator"  # other organisations too: the key that `paddock up` makes has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    organization_id: str
    user_id: str
    key_id: str
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        if scope not in self.scopes:
            raise PermissionDenied(f"this key lacks the scope {scope.value!r}")
