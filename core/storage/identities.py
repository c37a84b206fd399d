"""Reads of users and API keys. Changes are in `people`, organisations in `organizations`.

A key is kept as its SHA-256 digest: it has 256 random bits, so no salt is needed. A bearer token that was seen is a key of the
kind `token`: it expires, and can be revoked, as a key does.
"""

from collections.abc import Collection
from dataclasses import fields
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import NotFound
from core.storage.database import Database
from core.storage.paging import page_by_id
from core.storage.records import ApiKey, Credential, Organization, Page, User
from core.storage.tables import LIVE_KEYS, api_keys, users

Record = TypeVar("Record", ApiKey, Organization, User)
TABLES = {"key": api_keys, "user": users}


class IdentityStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, secret_sha256: str) -> Credential | None:
        """The one look-up that crosses tenants: nobody is known yet."""
        return await self._find(_BY_SECRET, secret_sha256)

    async def credential(self, key_id: str) -> Credential | None:
        """Of any organisation. No older than the question, and no connection of the pools is waited for."""
        return await self._find(_BY_ID, key_id)

    async def _find(self, query: str, key: str) -> Credential | None:
        row = await self._database.reads.find(query, key)
        return None if row is None else Credential(**dict(list(row.items())[1:]))

    async def valid_keys(self, key_ids: Collection[str]) -> Collection[str]:
        """Those of the keys that turns may run under now. Asked for between two renewals of their leases, and as those are."""
        query = sa.select(LIVE_KEYS.c.id).where(LIVE_KEYS.c.id.in_(key_ids))
        async with self._database.leasing() as connection:
            return (await connection.execute(query)).scalars().all()

    async def organization_of(self, kind: str, object_id: str) -> str:
        """Whose user or key it is; for operators. Raises NotFound."""
        table = TABLES[kind]
        async with self._database.everyone() as connection:
            found: str | None = await connection.scalar(sa.select(table.c.organization_id).where(table.c.id == object_id))
        if found is None:
            raise unknown(kind, object_id)
        return found

    async def users(self, organization_id: str, *, after: str | None, limit: int, descending: bool) -> Page[User]:
        """Raises InvalidRequest for a cursor that is no user's id."""
        mine = users.c.organization_id == organization_id
        async with self._database.tenant(organization_id) as connection:
            rows, more = await page_by_id(
                connection, users, mine, prefix="user", after=after, limit=limit, descending=descending
            )
        return Page(rows=[record(User, row) for row in rows], more=more)

    async def user(self, organization_id: str, user_id: str) -> User:
        """Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            return record(User, await one(connection, "user", organization_id, user_id))

    async def keys(
        self, organization_id: str, *, kind: str, user_id: str | None, after: str | None, limit: int, descending: bool
    ) -> Page[ApiKey]:
        """kind: key or token. user_id: None for everybody's. Raises InvalidRequest for a cursor that is no key of theirs."""
        mine, filters = api_keys.c.organization_id == organization_id, [api_keys.c.kind == kind]
        if user_id is not None:
            filters.append(api_keys.c.user_id == user_id)
        async with self._database.tenant(organization_id) as connection:
            rows, more = await page_by_id(
                connection, api_keys, mine, filters=filters, after=after, limit=limit, descending=descending
            )
        return Page(rows=[record(ApiKey, row) for row in rows], more=more)

    async def key(self, organization_id: str, key_id: str) -> ApiKey:
        """Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            return record(ApiKey, await one(connection, "key", organization_id, key_id))


_FIND = """SELECT {asked} AS asked, k.id, k.organization_id, o.external_id, k.user_id, u.subject,
    COALESCE(k.role, u.role) AS role, k.role AS issuer_role, k.scopes, k.expires_at, k.revoked_at,
    u.deactivated_at IS NULL AND o.deactivated_at IS NULL AS active
FROM api_keys k JOIN users u ON u.id = k.user_id JOIN organizations o ON o.id = k.organization_id
WHERE {asked} = ANY($1::text[])
"""
_BY_SECRET, _BY_ID = _FIND.format(asked="k.secret_sha256"), _FIND.format(asked="k.id")


async def one(connection: AsyncConnection, kind: str, organization_id: str, object_id: str) -> "sa.RowMapping":
    """The organisation's user or key of that id. Raises NotFound."""
    table = TABLES[kind]
    query = sa.select(table).where(table.c.organization_id == organization_id, table.c.id == object_id)
    row: sa.RowMapping | None = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise unknown(kind, object_id)
    return row


def unknown(kind: str, object_id: str) -> NotFound:
    return NotFound(f"no {kind} {object_id!r}", code=f"{kind}_not_found")


def record(kind: type[Record], row: "sa.RowMapping") -> Record:
    return kind(**{field.name: row[field.name] for field in fields(kind)})
