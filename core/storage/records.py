"""Rows as the rest of the platform sees them: no SQL, no session, nothing lazy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from core.events import TurnStatus
from core.messages import Usage

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """reason, message: as in `TurnEnded`. echo, wire: as in `TurnRequest`. Times are UTC.

    queue: of a turn that runs in the background, the one that it waits in, or waited; lower ones are served first.
    followable: its stream was not removed.
    """

    id: str
    organization_id: str
    user_id: str
    key_id: str
    conversation_id: str | None
    previous_turn_id: str | None
    model: str
    status: TurnStatus
    stored: bool
    wire: str
    echo: Mapping[str, Any]
    metadata: Mapping[str, str]
    created_at: datetime
    ended_at: datetime | None = None
    usage: Usage = field(default_factory=Usage)
    reason: str | None = None
    message: str | None = None
    queue: int | None = None
    followable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """sources: of a fork, the conversations whose items it shares, oldest first, each with the position of the last one."""

    id: str
    organization_id: str
    metadata: Mapping[str, str]
    created_at: datetime
    sources: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """prefix: the first characters of the secret, to tell keys apart. The secret itself is nowhere.

    kind: key, or token: a bearer token that was seen. role: what a token's issuer says; None: its user's.
    """

    id: str
    kind: str
    organization_id: str
    user_id: str
    name: str
    prefix: str
    role: str | None
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A key or a token, with whose it is. role: its user's, or what its issuer says, which is issuer_role.

    external_id, subject: what the identity provider calls organisation and user. active: both are.
    """

    id: str
    organization_id: str
    external_id: str | None
    user_id: str
    subject: str | None
    role: str
    issuer_role: str | None
    scopes: Sequence[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """external_id: what the identity provider calls it."""

    id: str
    name: str
    external_id: str | None
    created_at: datetime
    deactivated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """subject: who it is to the identity provider."""

    id: str
    organization_id: str
    name: str
    role: str
    subject: str | None
    created_at: datetime
    deactivated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """blob_key: the object that holds its bytes. sha256: of these, in hex. expires_at: from then on it is not there."""

    id: str
    organization_id: str
    filename: str
    purpose: str
    bytes: int
    sha256: str
    blob_key: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredTool:
    """version, digest: of the one that is offered. grants, quotas: see core/tools/permissions.py."""

    id: str
    name: str
    version: int
    digest: str
    enabled: bool
    grants: Sequence[str]
    quotas: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """manifest: its canonical text, whose SHA-256 is the digest. name: the tool's."""

    tool_id: str
    name: str
    version: int
    digest: str
    manifest: str
    created_by: str
    created_at: datetime


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"  # nobody decided, or carried out what was approved, in time
    VOID = "void"  # its response was deleted, or cannot go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A call that waits, or waited, for a human. user_id, key_id: of who asked the model. arguments: canonical JSON.

    digest, four_eyes, expires_seconds: see core/tools/approval.py. edited: arguments and digest are not those of the model.
    edited_by: who wrote those that wait for somebody else's approval.
    next_turn_id: the turn that carries it out. current_digest: of the version that the tool has now, None where it is gone.
    """

    id: str
    organization_id: str
    turn_id: str
    turn_status: TurnStatus
    conversation_id: str | None
    user_id: str
    key_id: str
    tool: str
    version_digest: str
    current_digest: str | None
    arguments: str
    digest: str
    four_eyes: bool
    expires_seconds: int
    status: ApprovalStatus
    edited: bool
    edited_by: str | None
    reason: str | None
    decided_by: str | None
    decided_at: datetime | None
    expires_at: datetime
    created_at: datetime
    next_turn_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUsage:
    """Calls of one version that were dispatched on one day of UTC. unknown: nobody learnt how they ended. seconds: in all."""

    day: str
    digest: str
    calls: int
    completed: int
    unknown: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantVersion:
    """id, name, created_at: the assistant's. definition: a text, whose SHA-256 is the digest. created_by: a key's id."""

    id: str
    name: str
    created_at: datetime
    version: int
    definition: str
    digest: str
    created_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    """Some rows of a longer list. more: there are others after the last one."""

    rows: Sequence[Row]
    more: bool
