"""What a bearer token says, once it is proved: who, in which organisation, as what, until when. It knows no user of ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from core.config import Tokens
from core.errors import Unauthenticated
from core.identity.key_set import KeySet
from core.identity.principals import Role

LARGEST = 16_384
LONGEST_CLAIM = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """organization: an external_id or id of ours. role: None where the token says none. expires_at: with the clocks' skew."""

    subject: str
    name: str
    organization: str
    role: Role | None
    expires_at: datetime


class TokenVerifier:
    def __init__(self, settings: Tokens, keys: KeySet) -> None:
        self.settings = settings
        self._keys = keys

    async def verify(self, token: str) -> Claims:
        """Nothing that a token says of itself decides how it is checked. Raises Unauthenticated, ProviderUnavailable."""
        if len(token) > LARGEST:
            raise _invalid("is too long")
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise _invalid("was signed with a key that its issuer does not publish")
            claims = jwt.decode(
                token,
                key.key,
                algorithms=list(key.algorithms),
                issuer=self.settings.issuer,
                audience=self.settings.audience,
                leeway=self.settings.clock_skew_seconds,
                options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError as exc:
            raise Unauthenticated("the bearer token has expired", code="token_expired") from exc
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as exc:
            raise _invalid("is not valid") from exc
        return self._claims(claims)

    def _claims(self, claims: Mapping[str, Any]) -> Claims:
        settings = self.settings
        if not isinstance(claims["exp"], int | float):
            raise _invalid("has an end that is no number")
        until = claims["exp"] + settings.clock_skew_seconds
        if until > datetime.now(UTC).timestamp() + settings.longest_seconds + 2 * settings.clock_skew_seconds:
            raise _invalid("is valid for longer than this server allows")
        subject = _text(claims, settings.subject_claim)
        name = claims.get(settings.name_claim)
        return Claims(
            subject=subject,
            name=name[:200] if isinstance(name, str) and name else subject,
            organization=settings.organization or _text(claims, settings.organization_claim or ""),
            role=None if settings.role_claim is None else _role(claims.get(settings.role_claim)),
            expires_at=datetime.fromtimestamp(0, UTC) + timedelta(seconds=until),
        )


def signed_part(token: str) -> str:
    """What the signature is over: a token has one, however its signature is written."""
    return token.rpartition(".")[0]


def _role(claim: object) -> Role | None:
    """One role or several, of which the one that allows most counts. What is no role of ours opens nothing."""
    if claim is None:
        return None
    names = claim if isinstance(claim, list) else [claim]
    for role in (Role.OWNER, Role.ADMIN, Role.AUDITOR, Role.MEMBER):
        if role.value in names:
            return role
    raise _invalid("names no role that is known here")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_CLAIM:
        raise _invalid(f"has no claim {name!r} that is a text of at most {LONGEST_CLAIM} characters")
    return value


def _invalid(why: str) -> Unauthenticated:
    return Unauthenticated(f"the bearer token {why}", code="invalid_token")
