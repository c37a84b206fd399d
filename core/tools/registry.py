"""What administrators do with the tools of their organisation. It runs none of them, and knows no HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.errors import InvalidRequest, Unavailable
from core.identity.principals import Principal, Scope
from core.identity.standing import Standing
from core.storage.audit import AuditRecord
from core.storage.records import Page, RegisteredTool, RegisteredVersion, ToolUsage
from core.storage.tools import NewVersion, Terms, ToolStore
from core.tools import kinds
from core.tools.catalog import Catalog
from core.tools.definition import Manifest, ToolVersion, check, checked_runtime, stored_version, version_of
from core.tools.nested import bind, refuse_nesting
from core.tools.permissions import Permissions, Quota, quotas_text
from core.tools.work import ManifestRefused, Workshop
from sandbox import RuntimeUnavailable, SandboxError


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under which a tool may be called. None: as they are."""

    enabled: bool | None = None
    permissions: Permissions | None = None
    quotas: Sequence[Quota] | None = None

    @property
    def terms(self) -> Terms:
        return Terms(
            enabled=self.enabled,
            grants=None if self.permissions is None else self.permissions.grants,
            quotas=None if self.quotas is None else quotas_text(self.quotas),
        )

    @property
    def details(self) -> dict[str, str | bool]:
        """For the audit log."""
        told: dict[str, str | bool] = {}
        if self.enabled is not None:
            told["enabled"] = self.enabled
        if self.permissions is not None:
            told["grants"] = " ".join(self.permissions.grants)
        if self.quotas is not None:
            told["quotas"] = quotas_text(self.quotas)
        return told


class Registry:
    """Methods that take a name or a digest raise NotFound; all that change something ask for the scope `admin`."""

    def __init__(self, store: ToolStore, standing: Standing, catalog: Catalog, workshop: Workshop) -> None:
        self._store = store
        self._standing = standing
        self._catalog = catalog
        self._workshop = workshop

    async def create(self, principal: Principal, manifest: Manifest, conditions: Conditions) -> RegisteredTool:
        """Raises InvalidRequest with the path of what is wrong, Conflict for a name that is taken."""
        principal.require(Scope.ADMIN)
        if manifest.name in self._catalog.builtins:
            raise InvalidRequest(f"the name {manifest.name!r} is reserved", param="name", code="reserved_name")
        version = await self._admitted(principal, manifest)
        record = AuditRecord.by(
            principal, "tool.created", manifest.name, digest=version.digest, details={"version": 1, **conditions.details}
        )
        return await self._store.create(
            principal.organization_id, manifest.name, _new(principal, version), conditions.terms, record
        )

    async def add_version(
        self,
        principal: Principal,
        name: str,
        manifest: Manifest,
        conditions: Conditions | None = None,
        *,
        after: int | None = None,
    ) -> RegisteredTool:
        """With its conditions: both, or neither. after: the version that it follows; None for the one that is current when
        this is called. Of two at once one wins. A manifest that is the current version's makes no other version. Raises
        InvalidRequest, Conflict.
        """
        principal.require(Scope.ADMIN)
        organization_id = principal.organization_id
        current = await self._store.get(organization_id, name)
        if manifest.name != name:
            raise InvalidRequest(f"the manifest is of {manifest.name!r}, not of {name!r}", param="name", code="invalid_value")
        version = await self._unchanged(current, manifest, organization_id) or await self._admitted(principal, manifest)
        after, conditions = current.version if after is None else after, conditions or Conditions()
        added = AuditRecord.by(principal, "tool.version_added", name, digest=version.digest, details={"version": after + 1})
        details = conditions.details
        changed = AuditRecord.by(principal, "tool.changed", name, details=details) if details else None
        if version.digest == current.digest and after == current.version:
            if changed is None:
                return current
            return await self._store.change(organization_id, name, conditions.terms, changed, at=after)
        records = [added] if changed is None else [added, changed]
        return await self._store.add_version(
            organization_id, name, _new(principal, version), conditions.terms, records, after=after
        )

    async def change(self, principal: Principal, name: str, conditions: Conditions) -> RegisteredTool:
        """Holds for the next call of every turn, those that run included. Raises InvalidRequest."""
        principal.require(Scope.ADMIN)
        record = AuditRecord.by(principal, "tool.changed", name, details=conditions.details)
        return await self._store.change(principal.organization_id, name, conditions.terms, record)

    async def delete(self, principal: Principal, name: str) -> None:
        principal.require(Scope.ADMIN)
        record = AuditRecord.by(principal, "tool.deleted", name)
        await self._store.delete(principal.organization_id, name, record)

    async def get(self, principal: Principal, name: str) -> RegisteredTool:
        return await self._store.get(principal.organization_id, name)

    async def page(self, principal: Principal, *, after: str | None, limit: int, descending: bool) -> Page[RegisteredTool]:
        return await self._store.page(principal.organization_id, after=after, limit=limit, descending=descending)

    async def version(self, principal: Principal, name: str, number: int) -> RegisteredVersion:
        return await self._store.version(principal.organization_id, name, number)

    async def version_by_digest(self, principal: Principal, digest: str) -> RegisteredVersion:
        return await self._store.version_by_digest(principal.organization_id, digest)

    async def versions(
        self, principal: Principal, name: str, *, after: int | None, limit: int, descending: bool
    ) -> Page[RegisteredVersion]:
        return await self._store.versions(principal.organization_id, name, after=after, limit=limit, descending=descending)

    async def usage(self, principal: Principal, name: str, *, since: datetime, until: datetime) -> Sequence[ToolUsage]:
        return await self._store.usage(principal.organization_id, name, since=since, until=until)

    async def _unchanged(self, current: RegisteredTool, manifest: Manifest, organization_id: str) -> ToolVersion | None:
        """The current version where the manifest is its own: rules of today hold for what is admitted, and nothing is.

        What its code calls may have other versions by now, so that such a one is bound again.
        """
        kept = stored_version((await self._store.version(organization_id, current.name, current.version)).manifest)
        try:
            given, runtime = checked_runtime(manifest.runtime), checked_runtime(kept.runtime)
        except ManifestRefused:  # told where it is admitted
            return None
        if given.get("artifact") and not given.get("sha256"):  # of the same file, which never changes
            given = {**given, "sha256": runtime.get("sha256")}
        same = given == runtime and version_of(manifest, kept.runtime).digest == current.digest
        return kept if same and not kept.calls else None

    async def _admitted(self, principal: Principal, manifest: Manifest) -> ToolVersion:
        """The version as it is kept: its kind has looked at it, and bound it to content.

        That may take minutes, in which a key may have been revoked. Raises Unauthenticated, PermissionDenied.
        """
        try:
            kind = _kind_of(manifest)
            version = check(manifest)
            runtime = await kind.admit(version, principal.organization_id, self._workshop)
            bound = await self._bound(principal.organization_id, manifest, runtime)
        except ManifestRefused as refused:
            raise InvalidRequest(
                f"invalid {refused.path!r}: {refused.message}", param=refused.path, code="invalid_manifest"
            ) from refused
        except RuntimeUnavailable as exc:
            raise Unavailable(str(exc), code="sandbox_unavailable") from exc
        except SandboxError as exc:
            raise InvalidRequest(f"invalid 'runtime': {exc}", param="runtime", code="invalid_manifest") from exc
        await self._standing.judge(principal)
        return bound

    async def _bound(self, organization_id: str, manifest: Manifest, runtime: Mapping[str, object]) -> ToolVersion:
        """To the versions that its code calls: what a human approves and an auditor reads is all that can happen."""
        names = manifest.capabilities.tools
        if not names and not runtime.get("tools"):
            return version_of(manifest, runtime)
        current, versions = await self._catalog.current(organization_id, set(names))
        bound = bind(names, current, given=runtime.get("tools"))
        version = version_of(manifest, {**runtime, "tools": bound})
        refuse_nesting(version, versions)
        return version


def _kind_of(manifest: Manifest) -> kinds.Registrable:
    try:
        return kinds.registrable(str(manifest.runtime.get("kind")))
    except LookupError as exc:
        raise ManifestRefused("runtime.kind", str(exc.args[0])) from exc


def _new(principal: Principal, version: ToolVersion) -> NewVersion:
    return NewVersion(
        digest=version.digest,
        manifest=version.manifest,
        created_by=principal.key_id,
        artifact=version.runtime.get("artifact"),
    )
