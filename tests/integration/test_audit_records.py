"""Audit records on a real PostgreSQL: what a line says, what is kept apart from it, and who may touch either."""

import json
from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from core.storage.audit import AuditRecord, Outcome, insert, line
from core.storage.database import Database
from tests.integration.conftest import Tenant


async def records_of(database: Database, organization_id: str) -> Sequence[sa.RowMapping]:
    query = "SELECT *, record::text AS line FROM audit_records WHERE organization_id = :organization_id ORDER BY moment, id"
    async with database.tenant(organization_id) as connection:
        return (await connection.execute(sa.text(query), {"organization_id": organization_id})).mappings().all()


async def test_a_record_is_kept_word_for_word_and_found_by_what_its_line_says(database: Database, tenant: Tenant) -> None:
    record = AuditRecord.by(tenant.principal, "tool.disabled", "tool_1", outcome=Outcome.REFUSED, details={"version": 3})
    async with database.tenant(record.organization_id) as connection:
        await insert(connection, record)
    found = [row for row in await records_of(database, record.organization_id) if row["id"] == record.id]
    assert [row["line"] for row in found] == [line(record)]
    assert [(row["kind"], row["object"], row["outcome"]) for row in found] == [("tool.disabled", "tool_1", "refused")]


async def test_a_record_of_a_change_that_is_rolled_back_is_not_there(database: Database, tenant: Tenant) -> None:
    record = AuditRecord.by(tenant.principal, "tool.disabled", "tool_1")

    async def change_that_fails() -> None:
        async with database.tenant(record.organization_id) as connection:
            await insert(connection, record)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_that_fails()
    assert record.id not in [row["id"] for row in await records_of(database, record.organization_id)]


async def test_what_people_wrote_is_apart_and_the_line_has_its_digest_alone(database: Database, tenant: Tenant) -> None:
    record = AuditRecord.by(
        tenant.principal, "user.created", "user_9", subject="user_9", personal={"name": "Ada \x00 Lovelace"}
    )
    async with database.tenant(record.organization_id) as connection:
        await insert(connection, record)
    row = next(row for row in await records_of(database, record.organization_id) if row["id"] == record.id)
    assert "Lovelace" not in row["line"]
    assert json.loads(row["line"])["personal"]["subject"] == "user_9"


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\\u0000", "\\\\ud800", "\U0001f600\ud800"])
async def test_an_identifier_of_characters_that_postgres_has_not_is_recorded_all_the_same(
    database: Database, tenant: Tenant, text: str
) -> None:
    record = AuditRecord.by(tenant.principal, "tool.disabled", text, details={text: text})
    async with database.tenant(record.organization_id) as connection:
        await insert(connection, record)
    assert record.id in [row["id"] for row in await records_of(database, record.organization_id)]


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_records SET moment = 0", "DELETE FROM audit_records", "TRUNCATE audit_records"]
)
@pytest.mark.parametrize("role", ["app", "system"])
async def test_no_role_of_the_server_can_change_or_remove_a_record(database: Database, role: str, statement: str) -> None:
    engine = database.app if role == "app" else database.system
    async with engine.connect() as connection:
        with pytest.raises(ProgrammingError, match="permission denied"):
            await connection.execute(sa.text(statement))
