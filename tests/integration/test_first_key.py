"""The operator's key of an installation: who made it is on record, and what else opens is said."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from core.identity.first_key import FirstKey, make_first_key
from core.identity.keys import Keys
from core.identity.organizations import OrganizationChange, Organizations
from core.identity.principals import Principal, Scope
from core.identity.sign_in import Identity
from core.identity.users import Users
from core.storage.database import Database, open_database
from core.storage.directory import Directory
from core.storage.embedded.postgres import EmbeddedPostgres
from tests.integration.audit_stand import own_database
from tests.integration.conftest import told


@pytest.fixture
async def fresh(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """Of an installation that was never started."""
    _, server = await own_database(postgres)
    async with open_database(server) as opened:
        yield opened


async def made(fresh: Database, present: str | None = None) -> tuple[FirstKey, Principal]:
    key = await make_first_key(Directory(fresh), present)
    assert key is not None
    return key, await Identity(Directory(fresh)).authenticate(key.secret)


async def test_the_organisation_the_owner_and_the_key_of_a_new_installation_are_on_record(fresh: Database) -> None:
    key, operator = await made(fresh)
    home = operator.organization_id
    (organization,) = await told(fresh, home, "organization.created")
    (user,) = await told(fresh, home, "user.created")
    (record,) = await told(fresh, home, "key.created")
    assert {one["actor"] for one in (organization, user, record)} == {"system"}
    assert [organization["object"], user["object"], record["object"]] == [home, operator.user_id, operator.key_id]
    assert record["details"] == {"user": operator.user_id, "scopes": "chat admin audit operator", "others": ""}
    assert (operator.scopes, key.others) == (frozenset(Scope), [])
    assert await make_first_key(Directory(fresh), key.secret) is None
    assert len(await told(fresh, home, "key.created")) == 1


async def test_a_key_in_place_of_a_lost_one_is_on_record_with_those_that_open_on(fresh: Database) -> None:
    first, operator = await made(fresh)
    keys = Keys(Directory(fresh))
    await keys.create(operator, name="chat", scopes=[Scope.CHAT])
    ended, _ = await keys.create(operator, name="ended", scopes=[Scope.OPERATOR])
    await keys.revoke(operator, ended.id)
    second, again = await made(fresh, "pk_lost")
    assert second.others == [operator.key_id]
    assert (again.organization_id, again.user_id) == (operator.organization_id, operator.user_id)
    await Identity(Directory(fresh)).authenticate(first.secret)
    records = await told(fresh, operator.organization_id, "key.created")
    assert [(record["object"], record["actor"]) for record in records[-1:]] == [(again.key_id, "system")]
    assert records[-1]["details"]["others"] == operator.key_id
    assert len(await told(fresh, operator.organization_id, "organization.created")) == 1


async def test_a_key_is_made_where_it_opens_something(fresh: Database) -> None:
    """The oldest organisation is stopped, the next has no active owner, one is a customer's, and in the end none is left."""
    first, operator = await made(fresh)
    organizations, users, stop = Organizations(Directory(fresh)), Users(Directory(fresh)), OrganizationChange(active=False)
    ownerless, customer, other = [
        await organizations.create(operator, name=name, external_id=None, owner_name="Ada")
        for name in ("ownerless", "customer", "other")
    ]
    (owner,) = (await users.list(operator, organization_id=ownerless.id)).rows
    async with Directory(fresh).people.change(ownerless.id) as change:
        await change.set_user(owner.id, {"deactivated_at": datetime.now(UTC)})
    _, elsewhere = await Keys(Directory(fresh)).create(
        operator, name="elsewhere", scopes=[Scope.ADMIN, Scope.OPERATOR], organization_id=other.id
    )
    colleague = await Identity(Directory(fresh)).authenticate(elsewhere)
    await organizations.update(colleague, operator.organization_id, stop)
    second, again = await made(fresh, first.secret)
    assert again.organization_id == other.id
    assert await make_first_key(Directory(fresh), second.secret) is None
    async with fresh.everyone() as connection:
        await connection.execute(sa.text("UPDATE organizations SET deactivated_at = now()"))
    third, last = await made(fresh, second.secret)
    assert last.organization_id not in (operator.organization_id, ownerless.id, customer.id, other.id)
    assert await make_first_key(Directory(fresh), third.secret) is None


async def test_an_organisation_that_an_operator_makes_is_on_record_with_its_first_user(fresh: Database) -> None:
    _, operator = await made(fresh)
    organizations = Organizations(Directory(fresh))
    acme = await organizations.create(operator, name="Acme", external_id=None, owner_name="Ada")
    (user,) = await told(fresh, acme.id, "user.created")
    assert (user["actor"], user["details"]) == (operator.user_id, {"role": "owner", "active": True})
    assert "Ada" not in str(user)
