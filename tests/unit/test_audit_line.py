"""A record's line is kept, hashed and sealed as it is written: compact ASCII JSON, its fields in one order."""

import json
from typing import Any

import pytest

from core.storage.audit import VERSION, AuditRecord, Outcome, line

FIELDS = [
    "v",
    "id",
    "time",
    "kind",
    "organization",
    "actor",
    "key",
    "request",
    "object",
    "digest",
    "outcome",
    "details",
    "personal",
]
PERSONAL = {"subject": "user_1", "hmac": "00ff"}


@pytest.mark.parametrize("text", ["plain", 'a "quoted" \\ name', "line\nend\x01\x7f", "ü€😀", "{}", ""])
@pytest.mark.parametrize("personal", [None, PERSONAL])
def test_a_line_is_the_compact_json_of_its_fields_in_order(text: str, personal: dict[str, str] | None) -> None:
    details: dict[str, Any] = {"tool": text, "calls": 2, "seconds": 1.25, "stored": True, "model": None, "end": Outcome.REFUSED}
    record = AuditRecord(
        kind="tool.returned",
        organization_id="org_1",
        actor=text,
        key_id=None,
        object=text,
        outcome=Outcome.UNKNOWN,
        details=details,
    )
    written = line(record, personal)
    told = json.loads(written)
    assert list(told) == FIELDS
    assert written.replace("\x7f", "\\u007f") == json.dumps(told, separators=(",", ":"))  # both ways of writing it are JSON
    assert written.isascii()
    about = {"v": VERSION, "actor": text, "key": None, "object": text, "outcome": "unknown", "personal": personal}
    assert told | about == told
    assert told["details"] == {**details, "end": "refused"}


@pytest.mark.parametrize("text", ["nul\x00", "lone \ud800 surrogate"])
def test_what_postgresql_cannot_keep_is_replaced_in_every_field(text: str) -> None:
    told = json.loads(line(AuditRecord(kind="k", organization_id="o", actor="a", object=text, details={"name": text})))
    kept = text.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert (told["object"], told["details"]["name"]) == (kept, kept)
