"""/admin/v1/audit: what was done, the checkpoints that seal it, the keys that signed them; erasing a person from it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.audit import Kind, Moment, Name, kinds, moment
from api.wire.body import Body
from api.wire.response_body import unix
from core.identity.principals import Scope
from core.storage.audit import Outcome
from core.storage.audit_events import AuditEvent
from core.storage.audit_seals import Checkpoint
from core.storage.audit_shapes import Filter
from core.storage.records import Page

router = Router("/admin/v1/audit")


class Events(Query):
    """kind: one or several (`key.created,tool.*`). since, until: Unix times in seconds; until is not in it.

    organization_id: another organisation's, or `all`, or `platform` (what belongs to none), for operators.
    """

    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    kind: Kind | None = None
    actor: Name | None = None
    object: Name | None = None
    outcome: Outcome | None = None
    since: Moment | None = None
    until: Moment | None = None
    organization_id: Name | None = None


class Erasure(Body):
    """subject: a user's id, as `personal.subject` of records has it. organization_id: another organisation's, for operators."""

    subject: Name
    organization_id: Name | None = None


class Checkpoints(Query):
    """after: a checkpoint's number. The oldest come first."""

    after: Annotated[int, Field(ge=0, le=2**62)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 20


@router.get("/events", query=Events)
async def list_events(request: Request) -> Response:
    """In the order of their commits. With `order=asc` none is ever passed over: come back with the last id, for ever.

    Those that have left the database for object storage are in exports alone: `archived_until` is when the last of them was
    made, in Unix seconds, where the list would begin before that.
    """
    principal, query = await authenticated(request), query_of(request, Events)
    wanted = Filter(
        kinds=kinds(query.kind),
        actor=query.actor,
        object=query.object,
        outcome=query.outcome,
        since=moment(query.since),
        until=moment(query.until),
    )
    audit = platform_of(request).audit
    page = await audit.page(
        principal,
        wanted,
        organization_id=query.organization_id,
        after=query.after,
        limit=query.limit,
        descending=query.order == "desc",
    )
    until = await audit.archived_until(principal, query.organization_id)
    reached = until is not None and (wanted.since is None or wanted.since <= until)
    return listed(page, _encode_event, archived_until=unix(until) if until is not None and reached else None)


@router.get("/events/{event_id}")
async def get_event(request: Request, event_id: str) -> Response:
    return answer(_encode_event(await platform_of(request).audit.get(await authenticated(request), event_id)))


@router.get("/checkpoints", query=Checkpoints)
async def list_checkpoints(request: Request) -> Response:
    principal, query = await authenticated(request), query_of(request, Checkpoints)
    found = await platform_of(request).audit.checkpoints(principal, after=query.after, limit=query.limit + 1)
    return listed(Page(rows=found[: query.limit], more=len(found) > query.limit), _encode_checkpoint)


@router.get("/checkpoints/latest")
async def latest_checkpoint(request: Request) -> Response:
    """Keep its note somewhere else: `paddock audit verify --checkpoint` then finds a log that was rewritten or cut since."""
    return answer(_encode_checkpoint(await platform_of(request).audit.latest_checkpoint(await authenticated(request))))


@router.get("/keys")
async def list_keys(request: Request) -> Response:
    """The public keys that checkpoints and exports were signed with, the oldest first."""
    keys = await platform_of(request).audit.keys(await authenticated(request))
    rows = [
        {"id": key.id, "object": "audit.key", "public_key": key.public_key, "created_at": unix(key.created_at)} for key in keys
    ]
    return listed(Page(rows=rows, more=False), lambda row: row)


@router.post("/erasures", body=Erasure)
async def erase(request: Request) -> Response:
    """Removes the personal text that is kept of somebody, and its key. The records and their proof stay as they are."""
    principal, body = await authenticated(request, Scope.ADMIN), await body_of(request, Erasure)
    erased = await platform_of(request).audit.erase(principal, body.subject, organization_id=body.organization_id)
    return answer({"object": "audit.erasure", "subject": body.subject, "records": erased})


def _encode_event(event: AuditEvent) -> Mapping[str, Any]:
    """record: as it was sealed. personal: the text of whose digest it has, until it is erased. personal_changed: another text
    is there instead, which is not shown.
    """
    return {
        "id": event.id,
        "object": "audit.event",
        "record": event.record,
        "personal": event.personal,
        "personal_changed": event.personal_changed,
    }


def _encode_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "id": str(checkpoint.number),
        "object": "audit.checkpoint",
        "number": checkpoint.number,
        "key_id": checkpoint.key_id,
        "note": checkpoint.note,
    }
