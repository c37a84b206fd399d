"""An audit log in a database of the test's own: what is recorded there is sealed, exported and fetched as a server does."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import make_url

from core.audit.archiving import Archiver
from core.audit.export.making import ExportMaker
from core.audit.exports import Exports
from core.audit.head import Head
from core.audit.log import AuditLog
from core.audit.sealing import Sealer
from core.audit.signing import Signer, open_signer
from core.identity.reach import Reach
from core.storage.audit import AuditRecord, insert
from core.storage.audit_archives import ArchiveStore
from core.storage.audit_events import EventStore
from core.storage.audit_exports import Export, ExportStore
from core.storage.audit_seals import Batch, SealStore
from core.storage.audit_shapes import Filter
from core.storage.database import Database, open_database
from core.storage.directory import Directory
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.migrate import migrate
from core.storage.objects import Objects, open_objects
from tests.integration.conftest import Tenant, make_tenant

TEMPLATE = "audit_template"
PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditStand:
    """tenant: one that has nothing in the log but what made it. owner: the database's address for who may do anything to it."""

    owner: str
    database: Database
    objects: Objects
    signer: Signer
    seals: "AgedSeals"
    head: Head
    sealer: Sealer
    log: AuditLog
    exports: Exports
    maker: ExportMaker
    home: Path
    tenant: Tenant

    async def public_keys(self) -> list[bytes]:
        return [key.public_key.encode() for key in await SealStore(self.database).keys()]

    async def record(self, *records: AuditRecord) -> Sequence[str]:
        """In one transaction each."""
        for record in records:
            async with self.database.tenant(record.organization_id) as connection:
                await insert(connection, record)
        return [record.id for record in records]

    async def act(self, times: int, kind: str = "tool.disabled", tenant: Tenant | None = None) -> Sequence[str]:
        who = (tenant or self.tenant).principal
        return await self.record(*(AuditRecord.by(who, kind, f"tool_{n}") for n in range(times)))

    async def export(
        self, *, format: str = "jsonl", wanted: Filter | None = None, organization_id: str | None = None
    ) -> Export:
        """Made, or failed."""
        who = self.tenant.principal
        asked = await self.exports.create(who, wanted or Filter(), format=format, organization_id=organization_id)
        await self.maker.make_all()
        return await self.exports.get(who, asked.id)

    async def fetch(self, export: Export, directory: Path) -> Path:
        directory.mkdir()
        for file in export.files:
            size, pieces = await self.exports.open_file(self.tenant.principal, export.id, file["name"])
            data = b"".join([piece async for piece in pieces])
            assert len(data) == size
            (directory / file["name"]).write_bytes(data)
        return directory

    def archiver(self, *, archive_days: float | None = 0, keep_days: float | None = None) -> Archiver:
        return Archiver(
            ArchiveStore(self.database),
            self.objects,
            self.head,
            self.signer,
            database=self.database.address,
            archive_days=archive_days,
            keep_days=keep_days,
        )

    async def seal_ago(self, days: float) -> None:
        """Seal what is recorded as if that had been so long ago."""
        self.seals.age = timedelta(days=days)
        await self.sealer.seal()
        self.seals.age = timedelta()

    async def tamper(self, statement: str, *values: Any) -> None:
        """As a database's superuser can."""
        connection = await asyncpg.connect(self.owner)
        try:
            await connection.execute("SET search_path = paddock")
            await connection.execute(statement, *values)
        finally:
            await connection.close()


class AgedSeals(SealStore):
    """The database's clock, for who seals: so long ago."""

    age = timedelta()

    async def next_batch(self, first_moment: int, *, limit: int) -> Batch | None:
        batch = await super().next_batch(first_moment, limit=limit)
        return batch and replace(batch, read_at=batch.read_at - self.age)


def made_ago(record: AuditRecord, days: float) -> AuditRecord:
    """With the id and the time that it had had then."""
    milliseconds = int(record.id[4:16], 16) - int(days * 86_400_000)
    return replace(record, id=f"aud_{milliseconds:012x}{record.id[16:]}", at=record.at - timedelta(days=days))


class PatientSealer(Sealer):
    """Leaves nothing unsealed because of PostgreSQL's own upkeep: whatever transaction runs, be it autovacuum's in another
    database, those after it wait for it. A test's own is still such a one.
    """

    def __init__(self, store: SealStore, signer: Signer, head: Head, owner: str) -> None:
        super().__init__(store, signer, head, patience=PATIENCE_SECONDS)
        self._owner = owner

    async def seal(self) -> int:
        await _without_upkeep(self._owner)
        return await super().seal()


UPKEEP = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity WHERE backend_xid IS NOT NULL
            AND (backend_type <> 'client backend' OR datname <> current_database())
    )
"""


async def _without_upkeep(owner: str) -> None:
    """Until what has a number now has ended; what gets one later is no earlier than what was recorded."""
    connection = await asyncpg.connect(owner)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await connection.fetchval(UPKEEP):
                await asyncio.sleep(0.005)
    finally:
        await connection.close()


@asynccontextmanager
async def audit_stand(postgres: EmbeddedPostgres, home: Path) -> AsyncIterator[AuditStand]:
    owner, server = await own_database(postgres)
    async with open_database(server) as database, open_objects(f"file://{home / 'objects'}") as objects:
        signer, reach = open_signer(home / "audit.key"), Reach(Directory(database))
        store, seals = ExportStore(database), AgedSeals(database)
        head = Head(seals, signer, home / "audit.head")
        sealer = PatientSealer(seals, signer, head, owner)
        await sealer.announce()
        stores = {"database": database.address, "objects": f"file://{home / 'objects'}"}
        maker = ExportMaker(store, objects, sealer, signer, stores=stores, home=home, days=30)
        yield AuditStand(
            owner=owner,
            database=database,
            objects=objects,
            signer=signer,
            seals=seals,
            head=head,
            sealer=sealer,
            log=AuditLog(EventStore(database), SealStore(database), reach),
            exports=Exports(store, objects, reach),
            maker=maker,
            home=home,
            tenant=await make_tenant(database, "one"),
        )


async def own_database(postgres: EmbeddedPostgres) -> tuple[str, str]:
    """Its address for the owner, and for a server. A copy of one that was migrated once."""
    name = f"audit_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(postgres.owner_url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", TEMPLATE):
            await connection.execute(f"CREATE DATABASE {TEMPLATE}")
            login = make_url(postgres.server_url).username
            assert login is not None
            await asyncio.to_thread(asyncio.run, migrate(_named(postgres.owner_url, TEMPLATE), server_login=login))
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    finally:
        await connection.close()
    return _named(postgres.owner_url, name), _named(postgres.server_url, name)


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)
