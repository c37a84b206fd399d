"""The registry's tools and their immutable versions, as administrators see them. It judges no manifest and no caller."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, InvalidRequest, NotFound
from core.ids import new_id
from core.storage import audit
from core.storage.audit import AuditRecord
from core.storage.database import Database
from core.storage.files import FileStore
from core.storage.paging import page_by_id
from core.storage.records import Page, RegisteredTool, RegisteredVersion, ToolUsage
from core.storage.tables import api_keys, tool_versions, tools


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """manifest: canonical text, and its digest. created_by: a key's id. artifact: the file that it is made of, if any."""

    digest: str
    manifest: str
    created_by: str
    artifact: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is no part of a version and may change on its own. None: as it is. grants, quotas: see core/tools/permissions.py."""

    enabled: bool | None = None
    grants: Sequence[str] | None = None
    quotas: str | None = None


LARGEST = 2**31 - 1
"""No version has this number."""


class ToolStore:
    """Each method sees the organisation's own tools; another's raise NotFound. A change and its audit record are one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._files = FileStore(database)

    async def create(
        self, organization_id: str, name: str, first: NewVersion, terms: Terms, record: AuditRecord
    ) -> RegisteredTool:
        """Raises Conflict for a name that is taken, InvalidRequest for a key that is not the organisation's."""
        tool_id = new_id("tool")
        values = {"id": tool_id, "organization_id": organization_id, "name": name, "version": 1, "digest": first.digest}
        try:
            async with self._database.tenant(organization_id) as connection:
                await _refuse_foreign_keys(connection, organization_id, terms)
                query = sa.insert(tools).values({**values, **_given(terms)}).returning(tools)
                row = (await connection.execute(query)).mappings().one()
                await _insert_version(connection, organization_id, tool_id, 1, first)
                await self._hold(connection, organization_id, name, first)
                await audit.insert(connection, record)
        except IntegrityError as exc:
            message = f"a tool named {name!r} is there already: give it a new version"
            raise Conflict(message, param="name", code="tool_exists") from exc
        return _tool(row)

    async def add_version(
        self,
        organization_id: str,
        name: str,
        version: NewVersion,
        terms: Terms,
        records: Sequence[AuditRecord],
        *,
        after: int,
    ) -> RegisteredTool:
        """The tool's next version under these terms, where `after` still is the current one. Raises NotFound, Conflict, and
        InvalidRequest for a key that is not the organisation's.
        """
        query = (
            sa.update(tools)
            .where(*_named(organization_id, name), tools.c.version == after)
            .values(version=after + 1, digest=version.digest, **_given(terms))
            .returning(tools)
        )
        async with self._database.tenant(organization_id) as connection:
            await _refuse_foreign_keys(connection, organization_id, terms)
            row = (await connection.execute(query)).mappings().one_or_none()
            if row is None:
                raise await _moved_on(connection, organization_id, name, after)
            await _insert_version(connection, organization_id, row["id"], after + 1, version)
            await self._hold(connection, organization_id, name, version)
            for record in records:
                await audit.insert(connection, record)
        return _tool(row)

    async def change(
        self, organization_id: str, name: str, terms: Terms, record: AuditRecord, *, at: int | None = None
    ) -> RegisteredTool:
        """at: the version that has to be the current one still; None for any. Raises NotFound, Conflict, and InvalidRequest
        for a key that is not the organisation's.
        """
        where = (*_named(organization_id, name), *(() if at is None else (tools.c.version == at,)))
        query = sa.update(tools).where(*where).values(_given(terms)).returning(tools)
        async with self._database.tenant(organization_id) as connection:
            await _refuse_foreign_keys(connection, organization_id, terms)
            row = (await connection.execute(query)).mappings().one_or_none()
            if row is None:
                raise _unknown(name) if at is None else await _moved_on(connection, organization_id, name, at)
            await audit.insert(connection, record)
        return _tool(row)

    async def delete(self, organization_id: str, name: str, record: AuditRecord) -> None:
        """The name is free again. Versions stay, to be read by their digest: a ledger or an approval may name one.
        Files that they are made of may go.

        Raises NotFound.
        """
        query = sa.update(tools).where(*_named(organization_id, name)).values(deleted_at=sa.func.now(), enabled=False)
        async with self._database.tenant(organization_id) as connection:
            if (await connection.execute(query)).rowcount == 0:
                raise _unknown(name)
            await self._files.unpin(connection, organization_id, _holder(name))
            await audit.insert(connection, record)

    async def get(self, organization_id: str, name: str) -> RegisteredTool:
        async with self._database.tenant(organization_id) as connection:
            return await _get(connection, organization_id, name)

    async def page(self, organization_id: str, *, after: str | None, limit: int, descending: bool) -> Page[RegisteredTool]:
        """after: a tool's id, also of one that was deleted. Raises InvalidRequest when it is none of the organisation's."""
        mine, left = tools.c.organization_id == organization_id, tools.c.deleted_at.is_(None)
        async with self._database.tenant(organization_id) as connection:
            rows, more = await page_by_id(
                connection, tools, mine, filters=[left], after=after, limit=limit, descending=descending
            )
        return Page(rows=[_tool(row) for row in rows], more=more)

    async def version(self, organization_id: str, name: str, number: int) -> RegisteredVersion:
        """Of a tool that is not deleted."""
        where = (*_named(organization_id, name), tool_versions.c.version == number)
        async with self._database.tenant(organization_id) as connection:
            row = (await connection.execute(_VERSIONS.where(*where))).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no version {number} of tool {name!r}", code="tool_version_not_found")
        return _version(row)

    async def version_by_digest(self, organization_id: str, digest: str) -> RegisteredVersion:
        """Also of a tool that was deleted."""
        where = (tool_versions.c.organization_id == organization_id, tool_versions.c.digest == digest)
        query = _VERSIONS.where(*where).order_by(tool_versions.c.tool_id.desc(), tool_versions.c.version.desc()).limit(1)
        async with self._database.tenant(organization_id) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no tool version with the digest {digest!r}", code="tool_version_not_found")
        return _version(row)

    async def versions(
        self, organization_id: str, name: str, *, after: int | None, limit: int, descending: bool
    ) -> Page[RegisteredVersion]:
        """after: a version's number. Raises NotFound for the tool."""
        number = tool_versions.c.version
        after = None if after is None else min(after, LARGEST)
        async with self._database.tenant(organization_id) as connection:
            tool = await _get(connection, organization_id, name)
            query = _VERSIONS.where(tool_versions.c.tool_id == tool.id)
            if after is not None:
                query = query.where(number < after if descending else number > after)
            query = query.order_by(number.desc() if descending else number).limit(limit + 1)
            rows = (await connection.execute(query)).mappings().all()
        return Page(rows=[_version(row) for row in rows[:limit]], more=len(rows) > limit)

    async def note(self, record: AuditRecord) -> None:
        """An audit record of something that changes nothing here."""
        async with self._database.tenant(record.organization_id) as connection:
            await audit.insert(connection, record)

    async def usage(self, organization_id: str, name: str, *, since: datetime, until: datetime) -> Sequence[ToolUsage]:
        """By day and version, oldest first; from the ledger. Raises NotFound for the tool."""
        parameters = {"organization_id": organization_id, "tool": name, "since": since, "until": until}
        async with self._database.tenant(organization_id) as connection:
            await _get(connection, organization_id, name)
            rows = (await connection.execute(_USAGE, parameters)).mappings().all()
        return [ToolUsage(**row) for row in rows]

    async def _hold(self, connection: AsyncConnection, organization_id: str, name: str, version: NewVersion) -> None:
        if version.artifact is not None:
            await self._files.pin(connection, organization_id, version.artifact, _holder(name))


_VERSIONS = sa.select(tool_versions, tools.c.name).join(tools, tools.c.id == tool_versions.c.tool_id)
_USAGE = sa.text("""
    SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, version_digest AS digest, count(*) AS calls,
        count(*) FILTER (WHERE state = 'completed') AS completed,
        count(*) FILTER (WHERE state = 'outcome_unknown') AS unknown, COALESCE(sum(seconds), 0) AS seconds
    FROM tool_ledger
    WHERE organization_id = :organization_id AND tool = :tool AND created_at >= :since AND created_at < :until
    GROUP BY day, version_digest ORDER BY day, version_digest
""")


def _holder(name: str) -> str:
    """Of files: the tool with all its versions, until it is deleted."""
    return f"tool {name!r}"


def _named(organization_id: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (tools.c.organization_id == organization_id, tools.c.name == name, tools.c.deleted_at.is_(None))


async def _get(connection: AsyncConnection, organization_id: str, name: str) -> RegisteredTool:
    row = (await connection.execute(sa.select(tools).where(*_named(organization_id, name)))).mappings().one_or_none()
    if row is None:
        raise _unknown(name)
    return _tool(row)


async def _insert_version(
    connection: AsyncConnection, organization_id: str, tool_id: str, number: int, version: NewVersion
) -> None:
    values = {
        "tool_id": tool_id,
        "version": number,
        "organization_id": organization_id,
        "digest": version.digest,
        "manifest": version.manifest,
        "created_by": version.created_by,
    }
    await connection.execute(sa.insert(tool_versions).values(values))


async def _refuse_foreign_keys(connection: AsyncConnection, organization_id: str, terms: Terms) -> None:
    """A grant to a key that is not there would be one to nobody, or to whoever gets it later."""
    keys = [grant.removeprefix("key:") for grant in terms.grants or () if grant.startswith("key:")]
    query = sa.select(api_keys.c.id).where(api_keys.c.organization_id == organization_id, api_keys.c.id.in_(keys))
    known = set((await connection.execute(query)).scalars()) if keys else set()
    for place, key in enumerate(keys):
        if key not in known:
            raise InvalidRequest(f"no key {key[:100]!r}", param=f"permissions.keys[{place}]", code="key_not_found")


async def _moved_on(connection: AsyncConnection, organization_id: str, name: str, version: int) -> Conflict:
    """Raises NotFound for a tool that is not there."""
    current = await _get(connection, organization_id, name)
    message = f"tool {name!r} is at version {current.version} by now, not at {version}: look at that one first"
    return Conflict(message, code="version_conflict")


def _given(terms: Terms) -> dict[str, Any]:
    values = {"enabled": terms.enabled, "grants": terms.grants, "quotas": terms.quotas}
    return {column: value for column, value in values.items() if value is not None}


def _tool(row: sa.RowMapping) -> RegisteredTool:
    return RegisteredTool(**{field.name: row[field.name] for field in fields(RegisteredTool)})


def _version(row: sa.RowMapping) -> RegisteredVersion:
    return RegisteredVersion(**{field.name: row[field.name] for field in fields(RegisteredVersion)})


def _unknown(name: str) -> NotFound:
    return NotFound(f"no tool {name[:100]!r}", code="tool_not_found")
