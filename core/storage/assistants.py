"""Assistants and their versions, which never change. What a definition means is core/assistants's: here it is a text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_unless
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, InvalidRequest, NotFound
from core.ids import new_id
from core.storage.audit import Actor, AuditRecord, Detail, insert
from core.storage.database import Database, hold
from core.storage.records import AssistantVersion, Page
from core.storage.tables import assistant_versions, assistants

MOST_ASSISTANTS = 1_000
"""Of one organisation: they are listed whole among its models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A definition as it is kept. told: what the audit log tells of it."""

    definition: str
    digest: str
    told: Mapping[str, Detail]


class AssistantStore:
    """Each method sees the organisation's own assistants, and none that was deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, actor: Actor, name: str, text: Text) -> AssistantVersion:
        """Raises Conflict for a name that is taken, and when there are as many as there may be."""
        organization_id, assistant_id = actor.organization_id, new_id("asst")
        values = {"id": assistant_id, "organization_id": organization_id, "name": name, "version": 1}
        async with self._database.tenant(organization_id) as connection:
            await hold(connection, "assistants", organization_id)
            there = sa.select(sa.func.count()).select_from(assistants).where(*_there(organization_id))
            if (await connection.scalar(there) or 0) >= MOST_ASSISTANTS:
                raise Conflict(f"an organization has at most {MOST_ASSISTANTS} assistants", code="too_many_assistants")
            made = insert_unless(assistants).values(values).on_conflict_do_nothing().returning(assistants.c.id)
            if await connection.scalar(made) is None:
                raise Conflict(f"another assistant is named {name!r}", param="name", code="name_taken")
            await _add_version(connection, actor, assistant_id, 1, text)
            await insert(connection, _told(actor, "assistant.created", assistant_id, 1, text))
            return await _current(connection, organization_id, assistants.c.id == assistant_id, assistant_id)

    async def change(self, actor: Actor, known_as: str, change: Callable[[str], Text]) -> AssistantVersion:
        """A new version, made of the current one; none when nothing changes. Changes at once come one after the other.

        known_as: id or name. Raises NotFound, and what `change` raises.
        """
        organization_id = actor.organization_id
        async with self._database.tenant(organization_id) as connection:
            mine = (*_there(organization_id), _known_as(known_as))
            await connection.execute(sa.select(assistants.c.id).where(*mine).with_for_update())
            current = await _current(connection, organization_id, _known_as(known_as), known_as)
            text = change(current.definition)
            if text.digest == current.digest:
                return current
            version = current.version + 1
            await _add_version(connection, actor, current.id, version, text)
            await connection.execute(sa.update(assistants).where(*mine).values(version=version))
            await insert(connection, _told(actor, "assistant.changed", current.id, version, text))
            return await _current(connection, organization_id, _known_as(known_as), known_as)

    async def delete(self, actor: Actor, known_as: str) -> AssistantVersion:
        """Gives what it was. Turns that run keep it; its name is free. Raises NotFound."""
        organization_id = actor.organization_id
        async with self._database.tenant(organization_id) as connection:
            mine = (*_there(organization_id), _known_as(known_as))
            await connection.execute(sa.select(assistants.c.id).where(*mine).with_for_update())
            last = await _current(connection, organization_id, _known_as(known_as), known_as)
            await connection.execute(sa.update(assistants).where(*mine).values(deleted_at=sa.func.now()))
            details = {"version": last.version}
            await insert(connection, AuditRecord.by(actor, "assistant.deleted", last.id, digest=last.digest, details=details))
        return last

    async def get(self, organization_id: str, known_as: str, *, version: int | None = None) -> AssistantVersion:
        """version: None for the current one. Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            if version is None:
                return await _current(connection, organization_id, _known_as(known_as), known_as)
            query = _VERSIONS.where(*_there(organization_id), _known_as(known_as), assistant_versions.c.version == version)
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no version {version} of an assistant {known_as!r}", code="assistant_not_found")
        return AssistantVersion(**row)

    async def named(self, organization_id: str, name: str) -> AssistantVersion | None:
        query = _CURRENT.where(*_there(organization_id), assistants.c.name == name)
        async with self._database.tenant(organization_id) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else AssistantVersion(**row)

    async def list(self, organization_id: str, *, after: str | None, limit: int, descending: bool) -> Page[AssistantVersion]:
        """after: an assistant's id, also a deleted one's. Raises InvalidRequest when it is none of the organisation's."""
        query = _CURRENT.where(*_there(organization_id))
        async with self._database.tenant(organization_id) as connection:
            if after is not None:
                mine = assistants.c.organization_id == organization_id
                known = sa.select(assistants.c.id).where(mine, assistants.c.id == after)
                if await connection.scalar(known) is None:
                    raise InvalidRequest(f"no assistant {after!r} in this list", param="after", code="invalid_cursor")
                query = query.where(assistants.c.id < after if descending else assistants.c.id > after)
            order = assistants.c.id.desc() if descending else assistants.c.id
            rows = (await connection.execute(query.order_by(order).limit(limit + 1))).mappings().all()
        return Page(rows=[AssistantVersion(**row) for row in rows[:limit]], more=len(rows) > limit)

    async def versions(
        self, organization_id: str, known_as: str, *, after: int | None, limit: int, descending: bool
    ) -> Page[AssistantVersion]:
        """after: a version's number. Raises NotFound."""
        column = assistant_versions.c.version
        query = _VERSIONS.where(*_there(organization_id), _known_as(known_as))
        if after is not None:
            query = query.where(column < after if descending else column > after)
        async with self._database.tenant(organization_id) as connection:
            await _current(connection, organization_id, _known_as(known_as), known_as)
            ordered = query.order_by(column.desc() if descending else column).limit(limit + 1)
            rows = (await connection.execute(ordered)).mappings().all()
        return Page(rows=[AssistantVersion(**row) for row in rows[:limit]], more=len(rows) > limit)


_SAME = assistant_versions.c.assistant_id == assistants.c.id
_COLUMNS = (
    assistants.c.id,
    assistants.c.name,
    assistants.c.created_at,
    assistant_versions.c.version,
    assistant_versions.c.definition,
    assistant_versions.c.digest,
    assistant_versions.c.created_by,
    assistant_versions.c.created_at.label("changed_at"),
)
_VERSIONS = sa.select(*_COLUMNS).join(assistant_versions, _SAME)
_CURRENT = _VERSIONS.where(assistant_versions.c.version == assistants.c.version)


def _there(organization_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return assistants.c.organization_id == organization_id, assistants.c.deleted_at.is_(None)


def _known_as(text: str) -> sa.ColumnElement[bool]:
    """No name begins as an id does."""
    return sa.or_(assistants.c.id == text, assistants.c.name == text)


async def _current(
    connection: AsyncConnection, organization_id: str, which: sa.ColumnElement[bool], known_as: str
) -> AssistantVersion:
    row = (await connection.execute(_CURRENT.where(*_there(organization_id), which))).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no assistant {known_as!r}", code="assistant_not_found")
    return AssistantVersion(**row)


async def _add_version(connection: AsyncConnection, actor: Actor, assistant_id: str, version: int, text: Text) -> None:
    values = {
        "assistant_id": assistant_id,
        "version": version,
        "organization_id": actor.organization_id,
        "definition": text.definition,
        "digest": text.digest,
        "created_by": actor.key_id,
    }
    await connection.execute(sa.insert(assistant_versions).values(values))


def _told(actor: Actor, kind: str, assistant_id: str, version: int, text: Text) -> AuditRecord:
    return AuditRecord.by(actor, kind, assistant_id, digest=text.digest, details={"version": version, **text.told})
