"""What one organisation can do with another's ids, everywhere an id is taken: nothing, and it is told nothing."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from core.errors import InvalidRequest, NotFound, PermissionDenied
from core.events import TurnStatus
from core.identity.principals import Principal, Scope
from core.storage.database import Database
from core.storage.tables import METADATA
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_tool_registry import audited
from tests.integration.test_turns import HELLO, SLOW, asking, items, read, says

SYSTEMS = {"turns", "turn_events", "tool_ledger", "organizations"}


async def test_no_method_takes_anothers_id(stage: Stage, tenant: Tenant, other_tenant: Tenant) -> None:
    mine, theirs = other_tenant.principal, tenant.principal
    admin = replace(mine, scopes=frozenset({Scope.CHAT, Scope.ADMIN}))
    async with stage.open_with(HELLO) as platform:
        turns, conversations = platform.turns, platform.conversations
        conversation = await conversations.create(theirs.organization_id, metadata={}, items=[says("secret")])
        [item] = await items(platform, tenant, conversation.id)
        turn = await turns.wait(theirs, (await turns.start(theirs, asking("secret", conversation_id=conversation.id))).id)
        own = await conversations.create(mine.organization_id, metadata={}, items=[says("mine")])
        own_turn = await turns.wait(mine, (await turns.start(mine, asking("mine"))).id)
        who, extra = mine.organization_id, [says("planted")]
        attempts = {
            "get": turns.get(mine, turn.id),
            "wait": turns.wait(mine, turn.id),
            "events": turns.events(mine, turn.id),
            "follow": read(platform, other_tenant, turn.id),
            "cancel": turns.cancel(mine, turn.id),
            "cancel_any": turns.cancel_any(admin, turn.id),
            "delete": turns.delete(mine, turn.id),
            "inputs": turns.input_items(mine, turn.id, after=None, limit=9, descending=False),
            "cursor of inputs": turns.input_items(mine, own_turn.id, after=item.id, limit=9, descending=False),
            "previous": turns.start(mine, asking("x", previous_turn_id=turn.id)),
            "conversation": turns.start(mine, asking("x", conversation_id=conversation.id)),
            "unstored conversation": turns.start(mine, asking("x", conversation_id=conversation.id, store=False)),
            "read": conversations.get(who, conversation.id),
            "update": conversations.update(who, conversation.id, metadata={"a": "b"}),
            "remove": conversations.delete(mine, conversation.id),
            "add": conversations.add_items(who, conversation.id, extra),
            "list": conversations.list_items(who, conversation.id, after=None, limit=9, descending=False),
            "cursor": conversations.list_items(who, own.id, after=item.id, limit=9, descending=True),
            "item": conversations.get_item(who, conversation.id, item.id),
            "item in own": conversations.get_item(who, own.id, item.id),
            "remove item": conversations.delete_item(mine, conversation.id, item.id),
            "remove item in own": conversations.delete_item(mine, own.id, item.id),
            "revoke": platform.keys.revoke(admin, theirs.key_id),
            "cursor of keys": platform.keys.list(admin, after=theirs.key_id),
            "key for another": platform.keys.create(
                admin, name="x", scopes=[Scope.CHAT], organization_id=theirs.organization_id
            ),
        }
        for name, attempt in attempts.items():
            with pytest.raises((NotFound, InvalidRequest, PermissionDenied)) as refused:
                await attempt
            assert "secret" not in refused.value.message, name
        assert (await turns.get(theirs, turn.id)).status is TurnStatus.COMPLETED
        assert await conversations.items_by_id(who, [item.id], most_bytes=1_000_000, most_parts=9) == {}
        assert len(await items(platform, tenant, conversation.id)) == 3
        assert (await conversations.get(theirs.organization_id, conversation.id)).metadata == {}


async def test_an_operator_stops_any_turn_and_an_administrator_its_organisations_own(
    stage: Stage, tenant: Tenant, other_tenant: Tenant
) -> None:
    def key(of: Tenant, *scopes: Scope) -> Principal:
        return replace(of.principal, scopes=frozenset(scopes))

    async with stage.open_with(SLOW) as platform:
        stopped = []
        for by in (key(tenant, Scope.ADMIN), key(other_tenant, Scope.ADMIN, Scope.OPERATOR)):
            turn = await platform.turns.start(tenant.principal, asking("go", store=False))
            with pytest.raises(NotFound):
                await platform.turns.cancel_any(key(other_tenant, Scope.ADMIN), turn.id)
            with pytest.raises(PermissionDenied):
                await platform.turns.cancel_any(key(tenant, Scope.CHAT), turn.id)
            assert (await platform.turns.cancel_any(by, turn.id)).status is TurnStatus.CANCELLED
            stopped.append((turn.id, by.user_id))
        told = [record for record in await audited(platform, tenant) if record["kind"] == "turn.cancelled"]
        assert [(record["object"], record["actor"]) for record in told] == stopped, "the log of whose turn it was says by whom"


async def test_the_roles_may_do_what_they_need_and_no_more(database: Database) -> None:
    """A tenant's transaction writes no turn, event or ledger row, even of its own; nobody may alter, truncate or bypass."""
    granted = sa.text("""
        SELECT grantee, table_name, string_agg(privilege_type, ',' ORDER BY privilege_type) AS may
        FROM information_schema.role_table_grants WHERE table_schema = 'paddock' AND grantee <> 'paddock_owner'
        GROUP BY grantee, table_name
    """)
    async with database.everyone() as connection:
        rows = (await connection.execute(granted)).all()
        roles = (await connection.execute(sa.text("SELECT * FROM pg_roles WHERE rolname LIKE 'paddock%'"))).all()
        forced = sa.text("SELECT relname FROM pg_class WHERE relnamespace = 'paddock'::regnamespace AND relforcerowsecurity")
        walled = set((await connection.execute(forced)).scalars())
    may = {(row.grantee, row.table_name): set(row.may.split(",")) for row in rows}
    assert walled == {table.name for table in METADATA.sorted_tables}
    for table in SYSTEMS:
        assert may.get(("paddock_app", table), set()) <= {"SELECT"}
    assert {grantee for grantee, _ in may} <= {"paddock_app", "paddock_system"}
    assert set().union(*may.values()) <= {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert not any(role.rolsuper or role.rolbypassrls or role.rolcreaterole or role.rolcreatedb for role in roles)
