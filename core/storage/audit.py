"""The audit log's records: what one says, word for word, and how it gets into the transaction of what it tells of.

A record's line is its truth: the line is what is hashed, sealed and exported, and the table's columns are taken from it. It
holds ids, digests and numbers. What could name a person goes to `personal`: kept apart, and the line has its digest under a
key of the person it is about; once text and key are erased, the digest says nothing and the proof is whole.
"""

import hashlib
import hmac
import json
import random
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.compact import dump, quote
from core.storage.tables import audit_personal, audit_subjects

VERSION = 1
PLATFORM = "platform"
"""The organisation of what belongs to none: a sign-in with an unknown key, the log's own affairs. Operators see it."""
KEY_BYTES = 32
Detail = str | int | float | bool | None


class Outcome(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"  # it was tried, and did not work
    REFUSED = "refused"  # it was not tried: not allowed, not valid, too much
    UNKNOWN = "unknown"  # it was begun, and nobody knows how it ended


class Actor(Protocol):
    """Who did it, as `core.identity.principals.Principal` is."""

    @property
    def organization_id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def key_id(self) -> str | None: ...
    @property
    def request_id(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """kind: `noun.verb` in the past. actor: a user's id, or `system`. object, digest: what it was done to, SHA-256 in hex.

    details: ids, digests and numbers, nothing that people wrote. personal: what they wrote, with `subject`, the id of whom it
    is about (else the actor); erasing the subject erases it.
    """

    kind: str
    organization_id: str
    actor: str
    key_id: str | None = None
    request_id: str | None = None
    object: str | None = None
    digest: str | None = None
    outcome: Outcome = Outcome.SUCCESS
    details: Mapping[str, Detail] = field(default_factory=dict)
    subject: str | None = None
    personal: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: _new_id())
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def by(
        cls,
        actor: Actor,
        kind: str,
        object: str | None,
        *,
        organization_id: str | None = None,
        digest: str | None = None,
        outcome: Outcome = Outcome.SUCCESS,
        details: Mapping[str, Detail] | None = None,
        subject: str | None = None,
        personal: Mapping[str, str] | None = None,
    ) -> "AuditRecord":
        """What a principal did. organization_id: whose log it belongs to, where that is not the principal's own."""
        return cls(
            kind=kind,
            organization_id=organization_id or actor.organization_id,
            actor=actor.user_id,
            key_id=actor.key_id,
            request_id=actor.request_id,
            object=object,
            digest=digest,
            outcome=outcome,
            details=details or {},
            subject=subject,
            personal=personal or {},
        )

    def also_in(self, organization_id: str) -> "AuditRecord":
        """The same deed, for another organisation's log."""
        return replace(self, id=_new_id(), organization_id=organization_id)


def _new_id() -> str:
    """As `core.ids.new_id`, with the time in nanoseconds: records of one commit stay in the order in which they were made.

    Unique, and no secret: no system call for its random part.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    return f"aud_{milliseconds:012x}{rest:05x}{random.getrandbits(60):015x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """A record's personal text, and what its line says of it, under the key of which this is the SHA-256, in hex."""

    subject: str
    text: str
    hmac: str
    key_sha256: str

    @property
    def told(self) -> Mapping[str, str]:
        return {"subject": self.subject, "hmac": self.hmac}


async def apart(connection: AsyncConnection, record: AuditRecord) -> Apart | None:
    """To be kept with the record; None where it has no such text. A subject that has no key yet has one then."""
    if not record.personal:
        return None
    subject = record.subject or record.actor
    text = json.dumps(dict(record.personal), separators=(",", ":"))
    key = await _key_of(connection, record.organization_id, subject)
    return Apart(
        subject=subject,
        text=text,
        hmac=digest_of(key, text),
        key_sha256=hashlib.sha256(key).hexdigest(),
    )


def digest_of(key: bytes, text: str) -> str:
    """Of personal text, as its record has it, under its subject's key."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


async def insert(connection: AsyncConnection, record: AuditRecord) -> None:
    """Into an open transaction of the record's organisation, or of the system role: it is there if the rest of it is."""
    personal = await apart(connection, record)
    if personal is not None:
        about = {"record_id": record.id, "organization_id": record.organization_id}
        await connection.execute(sa.insert(audit_personal).values(**about, subject=personal.subject, text=personal.text))
    told = line(record, personal.told if personal else None)
    await connection.execute(_INSERT, {"id": record.id, "organization_id": record.organization_id, "record": told})


def line(record: AuditRecord, personal: Mapping[str, str] | None = None) -> str:
    """The record as it is kept for ever: one line of ASCII JSON, its fields always in this order."""
    text = (
        f'{{"v":{VERSION},"id":{quote(record.id)},"time":"{record.at.isoformat(timespec="microseconds")}",'
        f'"kind":{quote(record.kind)},"organization":{quote(record.organization_id)},"actor":{quote(record.actor)},'
        f'"key":{_text(record.key_id)},"request":{_text(record.request_id)},"object":{_text(record.object)},'
        f'"digest":{_text(record.digest)},"outcome":{quote(record.outcome)},"details":{dump(record.details)},'
        f'"personal":{dump(personal)}}}'
    )
    if "\\u0000" in text or "\\ud" in text:  # characters that PostgreSQL has not, in somebody's idea of an identifier
        text = dump(_storable(json.loads(text)))
    return text


def _text(value: str | None) -> str:
    return "null" if value is None else quote(value)


_INSERT = sa.text(
    "INSERT INTO audit_records (id, organization_id, record) VALUES (:id, :organization_id, CAST(:record AS json))"
)


def _storable(value: object) -> object:
    match value:
        case str():
            return value.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case Mapping():
            return {_storable(name): _storable(inner) for name, inner in value.items()}
        case _:
            return value


async def _key_of(connection: AsyncConnection, organization_id: str, subject: str) -> bytes:
    """The subject's own, made at the first record that is about it. Until the commit nobody erases the subject."""
    mine = {"organization_id": organization_id, "subject": subject}
    await connection.execute(_LOCK_SUBJECT, mine)
    await connection.execute(_NEW_KEY, {**mine, "key": secrets.token_bytes(KEY_BYTES)})
    where = sa.and_(audit_subjects.c.organization_id == organization_id, audit_subjects.c.subject == subject)
    key: bytes = (await connection.execute(sa.select(audit_subjects.c.key).where(where))).scalar_one()
    return key


_LOCK_SUBJECT = sa.text("SELECT pg_advisory_xact_lock_shared(hashtextextended(:organization_id || ' about ' || :subject, 0))")
LOCK_ERASURE = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:organization_id || ' about ' || :subject, 0))")
"""Returns when all texts about the subject that are being written are there to be erased."""
_NEW_KEY = sa.text(
    "INSERT INTO audit_subjects (organization_id, subject, key) VALUES (:organization_id, :subject, :key)"
    " ON CONFLICT DO NOTHING"
)
