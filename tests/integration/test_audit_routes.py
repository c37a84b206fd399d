"""The audit log over HTTP: what a clumsy or hostile auditor can send, and lists that pass nothing over."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from core.bootstrap import Addresses
from core.config import Settings
from core.storage.database import Database
from tests.doubles.office import Caller, open_office
from tests.integration.conftest import Tenant, make_tenant

PATIENCE_SECONDS = 60
EVENTS, EXPORTS, ERASURES = (f"/admin/v1/audit/{name}" for name in ("events", "exports", "erasures"))


@pytest.fixture
async def operator(server_url: str, redis_url: str, tmp_path: Path, tenant: Tenant) -> AsyncIterator[Caller]:
    addresses = Addresses(
        database=server_url, redis=redis_url, objects=f"file://{tmp_path / 'objects'}", sandbox=tmp_path / "nobodys.sock"
    )
    async with open_office(addresses, tmp_path) as office:
        yield office.caller(tenant.secret)


async def admin_of(operator: Caller) -> Caller:
    """Somebody of the same organisation who is no operator."""
    made = await operator.made("/admin/v1/keys", {"name": "admin", "scopes": ["admin", "audit"]})
    return Caller(operator.client, made["secret"])


async def listed(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = await caller("GET", EVENTS, params=query)
    assert answer.status_code == 200, answer.text
    events: list[dict[str, Any]] = answer.json()["data"]
    return events


async def test_a_list_is_walked_in_both_directions_and_filters_choose(operator: Caller) -> None:
    for n in range(5):
        await operator.made("/admin/v1/users", {"name": f"user {n}"})
    async with asyncio.timeout(PATIENCE_SECONDS):  # from the oldest on, it ends where somebody, here the keeper, still writes
        while len(whole := await listed(operator, kind="user.created", order="asc")) < 5:
            await asyncio.sleep(0.05)
    assert len(whole) == 5
    walked: list[str] = []
    after: dict[str, str] = {}
    while page := await listed(operator, kind="user.created", order="asc", limit=2, **after):
        walked += [event["id"] for event in page]
        after = {"after": walked[-1]}
    assert walked == [event["id"] for event in whole]
    assert [event["id"] for event in await listed(operator, kind="user.*")] == walked[::-1]
    one = whole[2]["record"]["object"]
    assert [event["record"]["object"] for event in await listed(operator, object=one)] == [one]
    told = [(event["personal"]["name"], event["personal_changed"]) for event in await listed(operator, object=one)]
    assert told == [("user 2", False)]
    assert await listed(operator, until=1_000) == []
    assert await listed(operator, since=4_000_000_000) == []
    assert await listed(operator, outcome="failure") == []
    found = await operator("GET", f"{EVENTS}/{walked[0]}")
    assert found.json()["record"]["kind"] == "user.created"


ARCHIVE = """
    INSERT INTO audit_archives (id, first_checkpoint, last_checkpoint, records, latest, bytes, sha256, parts)
    VALUES (:id, :number, :number, 1, :latest, 1, '', :parts)
"""


async def test_a_list_says_until_when_records_have_left_for_the_archive(
    operator: Caller, tenant: Tenant, database: Database
) -> None:
    home = tenant.principal.organization_id
    values = {"id": f"archive_{home}", "number": -secrets.randbelow(2**40), "latest": datetime.fromtimestamp(1_000.5, UTC)}
    async with database.everyone() as connection:
        await connection.execute(sa.text(ARCHIVE), {**values, "parts": json.dumps({home: [0, 1]})})
    said = {}
    for since in (None, 999, 1_000, 1_001):
        query = {} if since is None else {"since": since}
        said[since] = (await operator("GET", EVENTS, params=query)).json()["archived_until"]
    assert said == {None: 1_000, 999: 1_000, 1_000: 1_000, 1_001: None}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"order": "random"}, "order"),
        ({"kind": "user.created'; --"}, "kind"),
        ({"kind": ",".join(["a"] * 50)}, "kind"),
        ({"kind": "%"}, "kind"),
        ({"outcome": "splendid"}, "outcome"),
        ({"since": "yesterday"}, "since"),
        ({"since": -1}, "since"),
        ({"until": 10**18}, "until"),
        ({"actor": ""}, "actor"),
        ({"object": "x" * 300}, "object"),
        ({"after": "aud_nobody"}, "after"),
        ({"after": "\x00"}, "cannot be stored"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_question_that_makes_no_sense_is_answered_with_its_parameter(
    operator: Caller, query: dict[str, Any], param: str
) -> None:
    answer = await operator("GET", EVENTS, params=query)
    assert answer.status_code == 400, answer.text
    assert param in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"format": "docx"},
        {"kind": "DROP TABLE"},
        {"since": 1.5},
        {"until": "now"},
        {"organization_id": ""},
        {"files": []},
        [],
        "jsonl",
        None,
    ],
)
async def test_an_export_that_makes_no_sense_is_refused_and_not_queued(operator: Caller, body: Any) -> None:
    answer = await operator("POST", EXPORTS, body)
    assert answer.status_code == 400, answer.text
    assert (await operator("GET", EXPORTS)).json()["data"] == []


async def test_what_is_another_organizations_is_not_there_but_for_an_operator(operator: Caller, database: Database) -> None:
    other = await make_tenant(database, "two")
    theirs = other.principal.organization_id
    admin = await admin_of(operator)
    stranger = Caller(operator.client, other.secret)
    event = (await listed(stranger))[0]["id"]
    for path in (f"{EVENTS}?organization_id={theirs}", f"{EVENTS}?organization_id=all", f"{EVENTS}/{event}"):
        assert (await admin("GET", path)).status_code == 404
    assert (await admin("POST", EXPORTS, {"organization_id": theirs})).status_code == 404
    assert (await admin("POST", EXPORTS, {"organization_id": "all"})).status_code == 404
    body = {"subject": other.principal.user_id, "organization_id": theirs}
    assert (await admin("POST", ERASURES, body)).status_code == 404
    assert (await operator("GET", f"{EVENTS}?organization_id={theirs}")).status_code == 200
    assert (await operator("GET", f"{EVENTS}/{event}")).status_code == 200


@pytest.mark.parametrize("mistyped", ["org_typo", "ALL", "'; --", "x" * 200])
async def test_an_organization_that_is_not_there_is_not_an_empty_one_to_an_operator(operator: Caller, mistyped: str) -> None:
    for method, path, body in (
        ("GET", f"{EVENTS}?{urlencode({'organization_id': mistyped})}", None),
        ("POST", EXPORTS, {"organization_id": mistyped}),
        ("POST", ERASURES, {"subject": "user_1", "organization_id": mistyped}),
    ):
        answer = await operator(method, path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "organization_not_found"), answer.text
    assert (await operator("GET", EXPORTS)).json()["data"] == []


async def test_what_can_be_no_organization_is_answered_before_anything_is_queued(operator: Caller) -> None:
    for text in ("\\u0000", "\\ud800"):
        body = f'{{"organization_id": "{text}"}}'
        answer = await operator("POST", EXPORTS, content=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["code"] in ("invalid_text", "invalid_json")
    assert (await operator("GET", f"{EVENTS}?organization_id=%00")).status_code == 400
    assert (await operator("GET", EXPORTS)).json()["data"] == []


async def test_an_operator_reads_what_is_nobodys_and_everybodys_but_erases_from_one_organization(operator: Caller) -> None:
    for whose in ("all", "platform"):
        assert (await operator("GET", f"{EVENTS}?organization_id={whose}")).status_code == 200
        assert (await operator("POST", EXPORTS, {"organization_id": whose})).status_code == 200
    made = await operator.made("/admin/v1/users", {"name": "Ada"})
    refused = await operator("POST", ERASURES, {"subject": made["id"], "organization_id": "all"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "organization_id")
    assert [event["personal"] for event in await listed(operator, object=made["id"])] != [None]
    assert (await operator("POST", ERASURES, {"subject": made["id"]})).json()["records"] == 1


@pytest.mark.parametrize("name", ["nothing", "..%2f..%2faudit.key", "%00", "manifest.json~", "x" * 300])
async def test_a_file_that_an_export_does_not_have_is_not_there(operator: Caller, name: str) -> None:
    export = await operator.made(EXPORTS, {})
    answer = await operator("GET", f"{EXPORTS}/{export['id']}/files/{name}")
    assert answer.status_code == 404, answer.text


async def test_nobody_is_erased_who_is_not_known(operator: Caller) -> None:
    for subject in ("user_nobody", "'; DROP TABLE audit_subjects; --"):
        answer = await operator("POST", ERASURES, {"subject": subject})
        assert answer.status_code == 404, answer.text
        assert answer.json()["error"]["code"] == "audit_subject_not_found"


@pytest.mark.parametrize(
    "audit",
    [
        {"keep_days": 10},
        {"archive_days": None, "keep_days": 10},
        {"archive_days": -1},
        {"export_days": "x"},
        {"seal_seconds": 0},
    ],
)
def test_a_policy_that_contradicts_itself_starts_no_server(tmp_path: Path, audit: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="audit"):
        Settings.model_validate({"home": tmp_path, "config": tmp_path / "paddock.yaml", "audit": audit})
