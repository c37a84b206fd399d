"""What strangers send, as models: pydantic makes an object of every mistake before anybody may choose one, and a million of
them are seconds and a gigabyte. So what it looks at is bounded: objects of so many names, maps of so many pairs, and lists
that fail fast.
"""

from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

MOST_NAMES = 100


class Bounded(BaseModel):
    """Nothing unknown is ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _has_few_names(cls, value: Any) -> Any:
        """Before each unknown one of them is a mistake."""
        if isinstance(value, dict) and len(value) > MOST_NAMES:
            raise PydanticCustomError(
                "too_many_names", "an object of at most {most} parameters is expected", {"most": MOST_NAMES}
            )
        return value


def at_most(pairs: int) -> BeforeValidator:
    """Of a map: pydantic counts it when it has looked at all of it."""

    def check(value: Any) -> Any:
        if isinstance(value, dict) and len(value) > pairs:
            context = {"field_type": "Dictionary", "max_length": pairs, "actual_length": len(value)}
            raise PydanticKnownError("too_long", context)
        return value

    return BeforeValidator(check)
