"""Organisations, with the system role: they are what tenants are, so no tenant makes or changes one by itself."""

from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict
from core.ids import new_id
from core.storage.audit import AuditRecord, insert
from core.storage.database import Database
from core.storage.identities import record, unknown
from core.storage.paging import page_by_id
from core.storage.people import Maker, stand_in_line
from core.storage.records import Organization, Page, User
from core.storage.tables import api_keys, organizations, users

Note = Callable[[Organization], AuditRecord]
"""What the audit log is told of a change, in its transaction."""
Notes = Callable[[Organization, User], Iterable[AuditRecord]]
"""The same of a new one and its first user."""


class OrganizationStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, name: str, *, user_name: str, external_id: str | None = None, notes: Notes | None = None, by: Maker | None = None
    ) -> tuple[Organization, str]:
        """A new organisation with its first user, an owner; returns that user's id.

        Raises Conflict for a taken external_id, and what `by.judge` does.
        """
        organization_id, user_id = new_id("org"), new_id("user")
        values = {"id": organization_id, "name": name, "external_id": external_id}
        first = {"id": user_id, "organization_id": organization_id, "name": user_name, "role": "owner"}
        async with self._database.everyone() as connection:
            await stand_in_line(connection, None, by)
            try:
                made = await connection.execute(sa.insert(organizations).values(values).returning(organizations))
            except IntegrityError as exc:
                raise _taken(external_id) from exc
            owner = await connection.execute(sa.insert(users).values(first).returning(users))
            organization, user = record(Organization, made.mappings().one()), record(User, owner.mappings().one())
            for note in () if notes is None else notes(organization, user):
                await insert(connection, note)
        return organization, user_id

    async def get(self, organization_id: str) -> Organization:
        """Raises NotFound."""
        return await self._one(organizations.c.id == organization_id, organization_id)

    async def named(self, external_id: str) -> Organization:
        """Whom the identity provider means: by what it calls it, or by our id. Raises NotFound."""
        mine = sa.or_(organizations.c.external_id == external_id, organizations.c.id == external_id)
        return await self._one(mine, external_id)

    async def list(self, *, after: str | None, limit: int, descending: bool) -> Page[Organization]:
        """Raises InvalidRequest for a cursor that is no organisation."""
        async with self._database.everyone() as connection:
            rows, more = await page_by_id(connection, organizations, after=after, limit=limit, descending=descending)
        return Page(rows=[record(Organization, row) for row in rows], more=more)

    async def set(self, organization_id: str, values: dict[str, Any], note: Note, *, by: Maker) -> Organization:
        """Raises NotFound, Conflict for a taken external_id, and what `by.judge` does."""
        written = values or {"id": organization_id}
        query = sa.update(organizations).where(organizations.c.id == organization_id).values(written).returning(organizations)
        async with self._database.everyone() as connection:
            await stand_in_line(connection, organization_id, by)
            try:
                row = (await connection.execute(query)).mappings().one_or_none()
            except IntegrityError as exc:
                raise _taken(values.get("external_id")) from exc
            if row is None:
                raise unknown("organization", organization_id)
            organization = record(Organization, row)
            await insert(connection, note(organization))
        return organization

    async def first_owner(self, organization_id: str) -> str:
        """Raises NotFound for an organisation that is not there, or that nobody active owns."""
        mine = (users.c.organization_id == organization_id, users.c.role == "owner", users.c.deactivated_at.is_(None))
        query = sa.select(users.c.id).where(*mine).order_by(users.c.id).limit(1)
        async with self._database.everyone() as connection:
            user_id: str | None = await connection.scalar(query)
        if user_id is None:
            raise unknown("organization", organization_id)
        return user_id

    async def oldest_owned(self) -> tuple[str, str] | None:
        """The oldest active organisation that somebody active owns, and its first such owner; of those that have, or had, an
        operator's key: the others are customers'.
        """
        active = (organizations.c.deactivated_at.is_(None), users.c.deactivated_at.is_(None), users.c.role == "owner")
        operators = sa.exists().where(
            api_keys.c.organization_id == organizations.c.id, sa.literal("operator", sa.Text) == sa.any_(api_keys.c.scopes)
        )
        query = sa.select(organizations.c.id, users.c.id).join(users, users.c.organization_id == organizations.c.id)
        query = query.where(*active, operators).order_by(organizations.c.id, users.c.id).limit(1)
        async with self._database.everyone() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else (row[0], row[1])

    async def _one(self, mine: sa.ColumnElement[bool], named: str) -> Organization:
        async with self._database.everyone() as connection:
            row = (await connection.execute(sa.select(organizations).where(mine))).mappings().first()
        if row is None:
            raise unknown("organization", named)
        return record(Organization, row)


def _taken(external_id: str | None) -> Conflict:
    return Conflict(f"another organization has the external_id {external_id!r}", code="external_id_taken")
