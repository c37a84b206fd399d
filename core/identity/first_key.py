"""The operator's key of an installation: made when it is new, and again when the one on file is lost. It knows no file."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from core.errors import Unauthenticated
from core.identity.organizations import founded
from core.identity.principals import Scope
from core.identity.secret import SHOWN, digest, new_secret
from core.identity.sign_in import Identity
from core.storage.audit import PLATFORM, AuditRecord
from core.storage.directory import Directory
from core.storage.people import NewKey
from core.storage.records import ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Who starts the server, whoever that is, to the audit log."""

    organization_id: str = PLATFORM
    user_id: str = "system"
    key_id: None = None
    request_id: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstKey:
    """others: ids of keys of operators, in the same organisation, that open on."""

    secret: str
    others: Sequence[str]


async def make_first_key(directory: Directory, present: str | None) -> FirstKey | None:
    """None when `present`, the one on file, still works.

    A lost key file is no reason to lock the operator out of a machine that is theirs: whoever may start the server may have a
    key. Those that were made before stay: another server may have one on file, and one that was rotated is kept elsewhere.
    """
    if present is not None and await _works(directory, present):
        return None
    organization_id, user_id = await _first_owner(directory)
    secret = new_secret()
    new = NewKey(
        user_id=user_id,
        name="admin",
        prefix=secret[:SHOWN],
        secret_sha256=digest(secret),
        scopes=[scope.value for scope in Scope],
        expires_at=None,
    )
    async with directory.people.change(organization_id) as change:
        others = await change.live_keys(Scope.OPERATOR.value)
        key = await change.add_key(new)
        assert key is not None, "a random secret was made twice"
        await change.note(_created(key, others))
    return FirstKey(secret=secret, others=others)


async def _works(directory: Directory, secret: str) -> bool:
    try:
        await Identity(directory).authenticate(secret)
    except Unauthenticated:
        return False
    return True


async def _first_owner(directory: Directory) -> tuple[str, str]:
    """Of an organisation that is active: in another the key would open nothing."""
    found = await directory.organizations.oldest_owned()
    if found is not None:
        return found
    organization, user_id = await directory.organizations.add("default", user_name="admin", notes=partial(founded, System()))
    return organization.id, user_id


def _created(key: ApiKey, others: Sequence[str]) -> AuditRecord:
    return AuditRecord.by(
        System(),
        "key.created",
        key.id,
        organization_id=key.organization_id,
        details={"user": key.user_id, "scopes": " ".join(key.scopes), "others": " ".join(others)},
        subject=key.user_id,
        personal={"name": key.name},
    )
