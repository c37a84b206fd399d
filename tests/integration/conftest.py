"""A migrated database for the tests of this folder, on the embedded server of the session."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import pytest
from anyio.from_thread import BlockingPortal
from sqlalchemy import make_url

from core.identity.keys import Identity
from core.identity.principals import Principal, Scope
from core.storage.database import Database, open_database
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.identities import IdentityStore
from core.storage.migrate import migrate


@pytest.fixture(scope="session")
def server_url(postgres: EmbeddedPostgres, background: BlockingPortal) -> str:
    login = make_url(postgres.server_url).username
    assert login is not None
    background.call(partial(migrate, postgres.owner_url, server_login=login))
    return postgres.server_url


@pytest.fixture
async def database(server_url: str) -> AsyncIterator[Database]:
    async with open_database(server_url) as opened:
        yield opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An organisation of the test's own, and a key of it."""

    principal: Principal
    secret: str


async def make_tenant(database: Database, name: str) -> Tenant:
    store = IdentityStore(database)
    organization, user_id = await store.add_organization(name, user_name="somebody")
    maker = Principal(organization_id=organization.id, user_id=user_id, key_id="none", scopes=frozenset(Scope))
    identity = Identity(store)
    _, secret = await identity.create_key(maker, name="test", scopes=list(Scope))
    return Tenant(principal=await identity.authenticate(secret), secret=secret)


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database, "one")


@pytest.fixture
async def other_tenant(database: Database) -> Tenant:
    return await make_tenant(database, "two")
