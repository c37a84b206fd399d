"""Organisations, users and API keys. A key is kept as its SHA-256 digest: it has 256 random bits, so no salt is needed."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime

import sqlalchemy as sa

from core.errors import InvalidRequest, NotFound
from core.ids import new_id
from core.storage.database import Database
from core.storage.records import ApiKey, Credential, Organization, Page
from core.storage.tables import LIVE_KEYS, api_keys, organizations, users


class IdentityStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, secret_sha256: str) -> Credential | None:
        """The one look-up that crosses tenants: nobody is known yet."""
        row = await self._database.reads.find(_FIND, secret_sha256)
        return None if row is None else Credential(**dict(list(row.items())[1:]))

    async def valid_keys(self, key_ids: Collection[str]) -> Collection[str]:
        """Those of the keys that open something now."""
        query = sa.select(LIVE_KEYS.c.id).where(LIVE_KEYS.c.id.in_(key_ids))
        async with self._database.everyone() as connection:
            return (await connection.execute(query)).scalars().all()

    async def add_organization(self, name: str, *, user_name: str) -> tuple[Organization, str]:
        """A new organisation with its first user; returns that user's id."""
        organization_id, user_id = new_id("org"), new_id("user")
        async with self._database.everyone() as connection:
            query = sa.insert(organizations).values(id=organization_id, name=name).returning(organizations)
            row = (await connection.execute(query)).one()
            await connection.execute(sa.insert(users).values(id=user_id, organization_id=organization_id, name=user_name))
        return _organization(row), user_id

    async def organizations(self, *, after: str | None, limit: int) -> Page[Organization]:
        """Oldest first. after: an organisation's id; raises InvalidRequest when there is none such."""
        query = sa.select(organizations).order_by(organizations.c.id).limit(limit + 1)
        async with self._database.everyone() as connection:
            if after is not None:
                if await connection.scalar(sa.select(organizations.c.id).where(organizations.c.id == after)) is None:
                    raise InvalidRequest(f"no organization {after!r} in this list", param="after", code="invalid_cursor")
                query = query.where(organizations.c.id > after)
            rows = (await connection.execute(query)).all()
        return Page(rows=[_organization(row) for row in rows[:limit]], more=len(rows) > limit)

    async def first_user(self, organization_id: str) -> str:
        """Raises NotFound for an organisation that is not there."""
        query = sa.select(users.c.id).where(users.c.organization_id == organization_id).order_by(users.c.id).limit(1)
        async with self._database.everyone() as connection:
            user_id: str | None = await connection.scalar(query)
        if user_id is None:
            raise NotFound(f"no organization {organization_id!r}", code="organization_not_found")
        return user_id

    async def add_key(
        self,
        organization_id: str,
        user_id: str,
        *,
        name: str,
        prefix: str,
        secret_sha256: str,
        scopes: Sequence[str],
        expires_at: datetime | None,
    ) -> ApiKey:
        values = {
            "id": new_id("key"),
            "organization_id": organization_id,
            "user_id": user_id,
            "name": name,
            "prefix": prefix,
            "secret_sha256": secret_sha256,
            "scopes": list(scopes),
            "expires_at": expires_at,
        }
        async with self._database.tenant(organization_id) as connection:
            return _key((await connection.execute(sa.insert(api_keys).values(values).returning(api_keys))).mappings().one())

    async def keys(self, organization_id: str, *, after: str | None, limit: int) -> Page[ApiKey]:
        """Newest first. after: a key's id; raises InvalidRequest when it is none of the organisation's."""
        query = sa.select(api_keys).where(api_keys.c.organization_id == organization_id)
        async with self._database.tenant(organization_id) as connection:
            if after is not None:
                if await connection.scalar(query.with_only_columns(api_keys.c.id).where(api_keys.c.id == after)) is None:
                    raise InvalidRequest(f"no key {after!r} in this list", param="after", code="invalid_cursor")
                query = query.where(api_keys.c.id < after)
            rows = (await connection.execute(query.order_by(api_keys.c.id.desc()).limit(limit + 1))).mappings().all()
        return Page(rows=[_key(row) for row in rows[:limit]], more=len(rows) > limit)

    async def revoke_key(self, organization_id: str, key_id: str) -> ApiKey:
        """Revoking twice keeps the first time. Raises NotFound."""
        query = (
            sa.update(api_keys)
            .where(api_keys.c.organization_id == organization_id, api_keys.c.id == key_id)
            .values(revoked_at=sa.func.coalesce(api_keys.c.revoked_at, sa.func.now()))
            .returning(api_keys)
        )
        async with self._database.tenant(organization_id) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no key {key_id!r}", code="key_not_found")
        return _key(row)


_SHOWN = [field.name for field in fields(ApiKey)]
_FIND = """
SELECT k.secret_sha256, k.id, k.organization_id, k.user_id, COALESCE(k.role, u.role) AS role, k.scopes, k.expires_at,
    k.revoked_at, u.deactivated_at IS NULL AND o.deactivated_at IS NULL AS active
FROM api_keys k JOIN users u ON u.id = k.user_id JOIN organizations o ON o.id = k.organization_id
WHERE k.secret_sha256 = ANY($1::text[])
"""


def _key(row: sa.RowMapping) -> ApiKey:
    return ApiKey(**{name: row[name] for name in _SHOWN})


def _organization(row: "sa.Row[tuple[object, ...]]") -> Organization:
    return Organization(id=row.id, name=row.name, created_at=row.created_at)
