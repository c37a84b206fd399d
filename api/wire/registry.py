"""Tools of the registry as the admin API takes and gives them: the manifest, and beside it what may change on its own."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from api.wire.body import Body, JsonObject
from api.wire.response_body import unix
from core.errors import InvalidRequest
from core.identity.principals import Role
from core.storage.records import RegisteredTool, RegisteredVersion, ToolUsage
from core.tools.definition import Manifest
from core.tools.permissions import Per, Period, Permissions, Quota, quotas_from
from core.tools.registry import Conditions
from core.tools.trial import Tried


class Grants(Body):
    """Who may call the tool; nobody, unless one of these says so. keys: ids of the organisation's keys."""

    organization: bool = False
    roles: list[Literal["owner", "admin", "member", "auditor"]] = Field(default=[], max_length=4)
    keys: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(default=[], max_length=1000)

    def parsed(self) -> Permissions:
        roles = tuple(Role(role) for role in dict.fromkeys(self.roles))
        return Permissions(organization=self.organization, roles=roles, keys=tuple(dict.fromkeys(self.keys)))


class CallQuota(Body):
    """calls: so many in each minute or day of UTC, of each key or of the whole organisation."""

    per: Literal["key", "organization"]
    period: Literal["minute", "day"]
    calls: Annotated[int, Field(ge=1, le=10**12)]


class NewTool(Manifest):
    permissions: Grants = Field(default_factory=Grants)
    quotas: list[CallQuota] = Field(default=[], max_length=4)
    enabled: bool = True

    @property
    def manifest(self) -> Manifest:
        return _manifest(self)

    @property
    def conditions(self) -> Conditions:
        return Conditions(enabled=self.enabled, permissions=self.permissions.parsed(), quotas=_quotas(self.quotas))


class ToolChange(Body):
    """What is left out stays as it is. It holds for the next call of every turn, also of those that run."""

    enabled: bool | None = None
    permissions: Grants | None = None
    quotas: list[CallQuota] | None = Field(default=None, max_length=4)

    @property
    def conditions(self) -> Conditions:
        if self.enabled is None and self.permissions is None and self.quotas is None:
            raise InvalidRequest("nothing to change: give 'enabled', 'permissions' or 'quotas'")
        return _conditions(self)


class NewToolVersion(Manifest):
    """replaces: the number of the version that it is to follow. Without it, the one that is current when the request comes.

    What else is left out stays as it is.
    """

    permissions: Grants | None = None
    quotas: list[CallQuota] | None = Field(default=None, max_length=4)
    enabled: bool | None = None
    replaces: Annotated[int, Field(ge=1, lt=2**31)] | None = None

    @property
    def manifest(self) -> Manifest:
        return _manifest(self)

    @property
    def conditions(self) -> Conditions:
        return _conditions(self)


class DryRun(Body):
    """version: its number; the current one, where it is left out."""

    arguments: JsonObject = Field(default={})
    version: Annotated[int, Field(ge=1, lt=2**31)] | None = None


def _manifest(body: Manifest) -> Manifest:
    return Manifest.model_validate({name: getattr(body, name) for name in Manifest.model_fields})


def _conditions(body: ToolChange | NewToolVersion) -> Conditions:
    return Conditions(
        enabled=body.enabled,
        permissions=None if body.permissions is None else body.permissions.parsed(),
        quotas=None if body.quotas is None else _quotas(body.quotas),
    )


def _quotas(quotas: list[CallQuota]) -> list[Quota]:
    found = [Quota(per=Per(quota.per), period=Period(quota.period), calls=quota.calls) for quota in quotas]
    for place, quota in enumerate(found):
        if any((quota.per, quota.period) == (other.per, other.period) for other in found[:place]):
            message = f"a second quota per {quota.per} and {quota.period}"
            raise InvalidRequest(message, param=f"quotas[{place}]", code="invalid_value")
    return found


def encode_tool(tool: RegisteredTool) -> dict[str, Any]:
    permissions = Permissions.of(tool.grants)
    return {
        "id": tool.id,
        "object": "tool",
        "name": tool.name,
        "version": tool.version,
        "digest": tool.digest,
        "enabled": tool.enabled,
        "permissions": {
            "organization": permissions.organization,
            "roles": [role.value for role in permissions.roles],
            "keys": list(permissions.keys),
        },
        "quotas": [
            {"per": quota.per.value, "period": quota.period.value, "calls": quota.calls} for quota in quotas_from(tool.quotas)
        ],
        "created_at": unix(tool.created_at),
    }


def encode_version(version: RegisteredVersion) -> dict[str, Any]:
    """digest: SHA-256 of the manifest as RFC 8785 writes it. id: its number, which a list is continued after."""
    return {
        "id": str(version.version),
        "object": "tool_version",
        "tool": version.name,
        "version": version.version,
        "digest": version.digest,
        "manifest": json.loads(version.manifest),
        "created_by": version.created_by,
        "created_at": unix(version.created_at),
    }


def encode_usage(usage: ToolUsage) -> dict[str, Any]:
    return {
        "object": "tool_usage",
        "day": usage.day,
        "digest": usage.digest,
        "calls": usage.calls,
        "completed": usage.completed,
        "unknown": usage.unknown,
        "seconds": round(usage.seconds, 6),
    }


def encode_tried(tried: Tried) -> dict[str, Any]:
    """output: what a model would be told."""
    return {
        "object": "tool_dry_run",
        "version": tried.version,
        "digest": tried.digest,
        "failed": tried.result.failed,
        "output": tried.result.content,
        "seconds": round(tried.seconds, 6),
    }
