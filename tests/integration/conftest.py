"""A migrated database, a sandbox host and a platform over them, on the embedded servers of the session."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from anyio.from_thread import BlockingPortal
from sqlalchemy import make_url

from core.bootstrap import Addresses, Platform, open_platform
from core.config import Settings
from core.identity.principals import Principal, Scope
from core.identity.secret import SHOWN, digest, new_secret
from core.identity.sign_in import Identity
from core.storage.audit import AuditRecord
from core.storage.database import Database, open_database
from core.storage.directory import Directory
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.migrate import migrate
from core.storage.people import NewKey
from core.supervisor import Program, running
from sandbox.client import SandboxClient
from sandbox.errors import RuntimeUnavailable
from tests.sandboxing import guest


@pytest.fixture(scope="session")
def server_url(postgres: EmbeddedPostgres, background: BlockingPortal) -> str:
    login = make_url(postgres.server_url).username
    assert login is not None
    background.call(partial(migrate, postgres.owner_url, server_login=login))
    return postgres.server_url


LEAVE_NONE = sa.text("UPDATE turns SET status = 'cancelled', ended_at = now() WHERE status IN ('running', 'pending')")


@pytest.fixture
async def database(server_url: str) -> AsyncIterator[Database]:
    """At the end no turn is left, which the next test's server would go on with."""
    async with open_database(server_url) as opened:
        yield opened
        async with opened.everyone() as connection:
            await connection.execute(LEAVE_NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An organisation of the test's own, and a key of it."""

    principal: Principal
    secret: str


async def make_tenant(database: Database, name: str) -> Tenant:
    directory = Directory(database)
    organization, user_id = await directory.organizations.add(name, user_name="somebody")
    secret = new_secret()
    new = NewKey(
        user_id=user_id,
        name="test",
        prefix=secret[:SHOWN],
        secret_sha256=digest(secret),
        scopes=[scope.value for scope in Scope],
        expires_at=None,
    )
    async with directory.people.change(organization.id) as change:
        key = await change.add_key(new)
        assert key is not None
        made = AuditRecord(kind="key.created", organization_id=organization.id, actor=user_id, object=key.id)
        await change.note(made)
    return Tenant(principal=await Identity(directory).authenticate(secret), secret=secret)


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database, "one")


@pytest.fixture
async def other_tenant(database: Database) -> Tenant:
    return await make_tenant(database, "two")


async def told(database: Database, organization_id: str, kind: str) -> list[dict[str, Any]]:
    """The organisation's audit records of a kind, the oldest first."""
    query = "SELECT record::text FROM audit_records WHERE organization_id = :who AND kind = :kind ORDER BY moment, id"
    async with database.everyone() as connection:
        lines = (await connection.execute(sa.text(query), {"who": organization_id, "kind": kind})).scalars().all()
    return [json.loads(line) for line in lines]


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sandbox_socket(session_home: Path, background: BlockingPortal) -> Iterator[Path]:
    """A sandbox host in a process of its own, as in production."""
    folder = session_home / "sandbox"
    folder.mkdir(mode=0o700)
    socket = folder / "host.sock"
    argv = (sys.executable, "-m", "sandbox.host", "--socket", str(socket), "--guest", str(guest()))
    program = Program(name="sandbox", argv=argv, cwd=ROOT)
    with background.wrap_async_context_manager(running(program, session_home / "logs")):
        background.call(_answering, socket)
        yield socket


async def _answering(socket: Path) -> None:
    client = SandboxClient(socket)
    async with asyncio.timeout(60):
        while True:
            try:
                await client.check()
            except RuntimeUnavailable:
                await asyncio.sleep(0.05)
            else:
                return await client.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything but the models: `open_with` opens a platform whose one model plays the rules."""

    addresses: Addresses
    home: Path

    @asynccontextmanager
    async def open_with(self, *rules: Mapping[str, Any], **limits: Any) -> AsyncIterator[Platform]:
        model = {"name": "scripted", "backend": "scripted", "script": list(rules)}
        settings = Settings.model_validate(
            {"home": self.home, "config": self.home / "paddock.yaml", "models": [model], "limits": limits}
        )
        async with open_platform(settings, self.addresses) as platform:
            yield platform


@pytest.fixture
def stage(server_url: str, redis_url: str, sandbox_socket: Path, tmp_path: Path) -> Stage:
    addresses = Addresses(
        database=server_url, redis=redis_url, objects=f"file://{tmp_path / 'objects'}", sandbox=sandbox_socket
    )
    return Stage(addresses=addresses, home=tmp_path)
