"""Changes of an organisation's users and keys, each one transaction. Knows no rule: core.identity asks and decides within."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict
from core.ids import new_id
from core.storage.audit import AuditRecord, insert
from core.storage.database import Database
from core.storage.identities import one, record
from core.storage.records import ApiKey, User
from core.storage.tables import api_keys, revoked_tokens, tools, users

MOST_KEYS = 20
LOCKED = 0x706C  # the first half of the advisory lock; the organisation is the other
_LOCK = sa.text("""
    SELECT pg_advisory_xact_lock(:people, place) FROM (
        SELECT DISTINCT hashtext(id) AS place FROM unnest(CAST(:organization_ids AS text[])) AS one (id) ORDER BY place
    ) places
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Who makes a change. judge: raises where they may not, or not any more."""

    organization_id: str
    judge: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """kind: key or token. role: what a token's issuer says of its user."""

    user_id: str
    name: str
    prefix: str
    secret_sha256: str
    scopes: list[str]
    expires_at: datetime | None
    kind: str = "key"
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOn:
    """What hangs on a key: its tier of limits, and the tools that let it in, by name with all their grants."""

    tier: str | None
    grants: Mapping[str, Sequence[str]]


class PeopleStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def change(self, organization_id: str, *, by: Maker | None = None) -> AsyncGenerator["Change", None]:
        """Commits at the end, or nothing was done. An organisation's changes wait for each other: what was read still holds.

        by: None for what the server does by itself. Raises what `by.judge` does.
        """
        async with self._database.tenant(organization_id) as connection:
            await stand_in_line(connection, organization_id, by)
            yield Change(connection, organization_id)

    async def note(self, record: AuditRecord) -> None:
        """What changed nothing: a refusal."""
        async with self._database.tenant(record.organization_id) as connection:
            await insert(connection, record)


async def stand_in_line(connection: AsyncConnection, organization_id: str | None, by: Maker | None) -> None:
    """Until the transaction's end no other change of the organisation is made, nor one of the maker's, whose end it may be.

    The maker is judged after the wait. organization_id: None for one that is not there yet.
    """
    homes = [home for home in (organization_id, by and by.organization_id) if home is not None]
    await connection.execute(_LOCK, {"people": LOCKED, "organization_ids": homes})  # in one order: nobody waits in a circle
    if by is not None:
        await by.judge()


class Change:
    def __init__(self, connection: AsyncConnection, organization_id: str) -> None:
        self._connection = connection
        self._organization_id = organization_id

    async def note(self, record: AuditRecord) -> None:
        """It is there if the change is."""
        await insert(self._connection, record)

    async def user(self, user_id: str) -> User:
        """Raises NotFound."""
        return record(User, await one(self._connection, "user", self._organization_id, user_id))

    async def user_of(self, subject: str) -> User | None:
        mine = (users.c.organization_id == self._organization_id, users.c.subject == subject)
        row = (await self._connection.execute(sa.select(users).where(*mine))).mappings().one_or_none()
        return None if row is None else record(User, row)

    async def owned_without(self, user_id: str) -> bool:
        """Whether somebody else, who is active, owns the organisation."""
        query = sa.select(users.c.id).where(
            users.c.organization_id == self._organization_id,
            users.c.role == "owner",
            users.c.deactivated_at.is_(None),
            users.c.id != user_id,
        )
        return await self._connection.scalar(query.limit(1)) is not None

    async def add_user(self, *, name: str, role: str, subject: str | None) -> User:
        """Raises Conflict for a taken subject."""
        values = {"id": new_id("user"), "organization_id": self._organization_id, "name": name, "role": role}
        query = sa.insert(users).values(**values, subject=subject).returning(users)
        return record(User, await self._unique(query, subject))

    async def set_user(self, user_id: str, values: dict[str, Any]) -> User:
        """Raises Conflict for a taken subject."""
        mine = (users.c.organization_id == self._organization_id, users.c.id == user_id)
        return record(
            User, await self._unique(sa.update(users).where(*mine).values(values).returning(users), values.get("subject"))
        )

    async def remove_user(self, user_id: str) -> Mapping[str, Sequence[str]]:
        """With all keys, and what hangs on them; tokens that were revoked stay so.

        Returns the tools that let one of them in, by name with all grants left.
        """
        await self._connection.execute(_KEEP_REVOKED, {"organization_id": self._organization_id, "user_id": user_id})
        keys = await self._remove_keys(api_keys.c.user_id == user_id)
        mine = (users.c.organization_id == self._organization_id, users.c.id == user_id)
        await self._connection.execute(sa.delete(users).where(*mine))
        return await self._take_back([user_id, *keys])

    async def key(self, key_id: str) -> ApiKey:
        """Raises NotFound."""
        return record(ApiKey, await one(self._connection, "key", self._organization_id, key_id))

    async def live_keys(self, scope: str) -> Sequence[str]:
        """Ids of those that have the scope and open something now: the newest, at most MOST_KEYS."""
        query = sa.select(api_keys.c.id).join(users, users.c.id == api_keys.c.user_id)
        query = query.where(*self._not_ended(scope), users.c.deactivated_at.is_(None))
        rows = await self._connection.execute(query.order_by(api_keys.c.id.desc()).limit(MOST_KEYS))
        return rows.scalars().all()

    async def holds(self, user_id: str, scope: str) -> bool:
        """Whether a key of the user's that has not ended has the scope, be the user inactive or of a role that forbids it."""
        query = sa.select(api_keys.c.id).where(*self._not_ended(scope), api_keys.c.user_id == user_id)
        return await self._connection.scalar(query.limit(1)) is not None

    async def add_key(self, new: NewKey) -> ApiKey | None:
        """None for a secret that is known: a token that two requests brought at once."""
        values = {name: getattr(new, name) for name in NewKey.__slots__}
        query = sa.dialects.postgresql.insert(api_keys).values(
            id=new_id(new.kind), organization_id=self._organization_id, **values
        )
        made = await self._connection.execute(query.on_conflict_do_nothing().returning(api_keys))
        row = made.mappings().one_or_none()
        return None if row is None else record(ApiKey, row)

    async def renew_token(self, new: NewKey) -> ApiKey | None:
        """The one that is known opens what the new one says. None where it does already, was revoked, or is somebody else's."""
        query = sa.update(api_keys).where(
            api_keys.c.organization_id == self._organization_id,
            api_keys.c.secret_sha256 == new.secret_sha256,
            api_keys.c.user_id == new.user_id,
            api_keys.c.revoked_at.is_(None),
            sa.or_(api_keys.c.role.is_distinct_from(new.role), api_keys.c.scopes != new.scopes),
        )
        changed = await self._connection.execute(query.values(role=new.role, scopes=new.scopes).returning(api_keys))
        row = changed.mappings().one_or_none()
        return None if row is None else record(ApiKey, row)

    async def was_revoked(self, secret_sha256: str) -> bool:
        """A token of a user who was deleted since."""
        mine = (revoked_tokens.c.organization_id == self._organization_id, revoked_tokens.c.secret_sha256 == secret_sha256)
        return await self._connection.scalar(sa.select(revoked_tokens.c.secret_sha256).where(*mine)) is not None

    async def set_key(self, key_id: str, values: dict[str, Any]) -> ApiKey:
        mine = (api_keys.c.organization_id == self._organization_id, api_keys.c.id == key_id)
        changed = await self._connection.execute(sa.update(api_keys).where(*mine).values(values).returning(api_keys))
        return record(ApiKey, changed.mappings().one())

    async def hand_on(self, old_id: str, new_id: str, *, shared: bool) -> HandedOn:
        """What hangs on the old key hangs on the new one. shared: on the old one as well."""
        about = {"organization_id": self._organization_id, "old": old_id, "new": new_id}
        tier: str | None = await self._connection.scalar(_HAND_ON_TIER, about)
        old, new, grants = sa.literal(f"key:{old_id}", sa.Text), sa.literal(f"key:{new_id}", sa.Text), tools.c.grants
        theirs = (tools.c.organization_id == self._organization_id, tools.c.deleted_at.is_(None), old == sa.any_(grants))
        changed = sa.func.array_append(grants, new) if shared else sa.func.array_replace(grants, old, new)
        query = sa.update(tools).where(*theirs).values(grants=changed).returning(tools.c.name, grants)
        rows = (await self._connection.execute(query)).all()
        return HandedOn(tier=tier, grants={row.name: row.grants for row in rows})

    async def forget_tokens(self, user_id: str, *, only: str | None = None) -> Mapping[str, Sequence[str]]:
        """The user's that were not revoked, or the one of that id; their turns end. Returns what `remove_user` does."""
        mine = [api_keys.c.user_id == user_id, api_keys.c.kind == "token", api_keys.c.revoked_at.is_(None)]
        if only is not None:
            mine.append(api_keys.c.id == only)
        return await self._take_back(await self._remove_keys(*mine))

    async def forget_old_tokens(self, user_id: str, *, days: int) -> Mapping[str, Sequence[str]]:
        """The user's, and those of users who were deleted, that expired so many days ago. Returns what `remove_user` does."""
        old = sa.func.now() - sa.func.make_interval(0, 0, 0, days)
        theirs = (revoked_tokens.c.organization_id == self._organization_id, revoked_tokens.c.expires_at < old)
        await self._connection.execute(sa.delete(revoked_tokens).where(*theirs))
        mine = (api_keys.c.user_id == user_id, api_keys.c.kind == "token")
        return await self._take_back(await self._remove_keys(*mine, api_keys.c.expires_at < old))

    async def _remove_keys(self, *which: sa.ColumnElement[bool]) -> Sequence[str]:
        """Returns their ids."""
        mine = api_keys.c.organization_id == self._organization_id
        rows = await self._connection.execute(sa.delete(api_keys).where(mine, *which).returning(api_keys.c.id))
        return rows.scalars().all()

    async def _take_back(self, gone: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """What users and keys that are gone were given: their tiers of limits, and being let into tools."""
        if not gone:  # as at most sign-ins
            return {}
        about = {"organization_id": self._organization_id, "gone": gone, "grants": [f"key:{one}" for one in gone]}
        await self._connection.execute(_TAKE_BACK_TIERS, about)
        rows = await self._connection.execute(_TAKE_BACK_GRANTS, about)
        return {row.name: row.grants for row in rows}

    def _not_ended(self, scope: str) -> tuple[sa.ColumnElement[bool], ...]:
        """Keys of the organisation that have the scope, and are neither revoked nor expired."""
        return (
            api_keys.c.organization_id == self._organization_id,
            sa.literal(scope, sa.Text) == sa.any_(api_keys.c.scopes),
            api_keys.c.revoked_at.is_(None),
            sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > sa.func.now()),
        )

    async def _unique(self, statement: Any, subject: str | None) -> "sa.RowMapping":
        """statement: any that returns the user's row."""
        try:
            return (await self._connection.execute(statement)).mappings().one()
        except IntegrityError as exc:
            raise Conflict(f"another user has the subject {subject!r}", code="subject_taken") from exc


_KEEP_REVOKED = sa.text("""
    INSERT INTO revoked_tokens (secret_sha256, organization_id, expires_at)
    SELECT secret_sha256, organization_id, expires_at FROM api_keys
    WHERE organization_id = :organization_id AND user_id = :user_id AND kind = 'token' AND revoked_at IS NOT NULL
    ON CONFLICT DO NOTHING
""")
_HAND_ON_TIER = sa.text("""
    INSERT INTO limit_tiers (subject_id, organization_id, tier)
    SELECT :new, organization_id, tier FROM limit_tiers WHERE organization_id = :organization_id AND subject_id = :old
    RETURNING tier
""")
_TAKE_BACK_TIERS = sa.text("DELETE FROM limit_tiers WHERE organization_id = :organization_id AND subject_id = ANY(:gone)")
_TAKE_BACK_GRANTS = sa.text("""
    UPDATE tools SET grants = ARRAY(
        SELECT granted FROM unnest(grants) WITH ORDINALITY AS one (granted, place) WHERE granted <> ALL(:grants) ORDER BY place
    )
    WHERE organization_id = :organization_id AND deleted_at IS NULL AND grants && :grants
    RETURNING name, grants
""")
