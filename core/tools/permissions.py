"""Who may call a tool of the registry, and how often. Nobody may, until somebody is let in. Knows no database."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache

from core.identity.principals import Principal, Role
from core.storage.tool_calls import Counter

EVERYBODY = "organization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Any of these lets a caller in. keys: ids of keys of the organisation."""

    organization: bool = False
    roles: tuple[Role, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def grants(self) -> list[str]:
        """As they are stored: what of `holders` is let in."""
        everybody = [EVERYBODY] if self.organization else []
        return [*everybody, *(f"role:{role.value}" for role in self.roles), *(f"key:{key}" for key in self.keys)]

    @classmethod
    def of(cls, grants: Sequence[str]) -> "Permissions":
        return cls(
            organization=EVERYBODY in grants,
            roles=tuple(Role(grant.removeprefix("role:")) for grant in grants if grant.startswith("role:")),
            keys=tuple(grant.removeprefix("key:") for grant in grants if grant.startswith("key:")),
        )


def holders(principal: Principal, role: str) -> list[str]:
    """What a caller is, in the words of grants. role: the one that counts now, which may have changed since the turn began."""
    return [EVERYBODY, f"role:{role}", f"key:{principal.key_id}"]


class Per(StrEnum):
    KEY = "key"
    ORGANIZATION = "organization"


class Period(StrEnum):
    MINUTE = "minute"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """calls: so many in each minute or day of UTC, of one key or of the whole organisation."""

    per: Per
    period: Period
    calls: int


def quotas_text(quotas: Sequence[Quota]) -> str:
    return json.dumps([asdict(quota) for quota in quotas])


@lru_cache(maxsize=1024)
def quotas_from(text: str) -> tuple[Quota, ...]:
    return tuple(Quota(per=Per(one["per"]), period=Period(one["period"]), calls=one["calls"]) for one in json.loads(text))


def counters(principal: Principal, quotas: Sequence[Quota]) -> list[Counter]:
    """Where a call of this caller counts. In one order for everybody, so that no two calls wait for each other."""
    found = [
        Counter(
            subject=principal.counted_as if quota.per is Per.KEY else principal.organization_id,
            period=quota.period.value,
            most=quota.calls,
        )
        for quota in quotas
    ]
    return sorted(found, key=lambda counter: (counter.subject, counter.period))
