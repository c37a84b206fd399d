"""What the audit routes share: how kinds of records and moments are written in a request."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

Kind = Annotated[str, Field(pattern=r"^[a-z_.]+\*?(,[a-z_.]+\*?){0,19}$", max_length=1000)]
"""One or several: `key.created,tool.*`."""
Moment = Annotated[int, Field(ge=0, le=253_402_300_799)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def kinds(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
