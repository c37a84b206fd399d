"""What every section of the configuration is, and how it names a file."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, field_validator


def beside(directory: Path | str, file: Path | str) -> Path:
    """The file as who wrote its name down in `directory` means it."""
    return Path(directory, os.path.expanduser(file))  # Path's own raises for a user who is not there


def _beside(path: Path, told: ValidationInfo) -> Path:
    """Raises ValueError for what was meant as it once was: a server that makes a key where none is would make another one."""
    found = beside(told.context or "", path)
    if told.context and not found.exists() and found != path.absolute() and path.exists():
        raise ValueError(f"is {found} now, beside this file, and not {path.absolute()}: move it, or write its whole path")
    return found


Neighbour = Annotated[Path, AfterValidator(_beside)]
"""A file; relative paths are the configuration file's neighbours, whose directory is told as the validation's context."""


class Section(BaseModel):
    """Unknown keys are errors, and no error shows the value that was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_yes_or_no(cls, value: Any, field: ValidationInfo) -> Any:
        """Pydantic takes True for 1, and 0 days is not what somebody means who writes `off`."""
        entries = value if isinstance(value, list) else [value]
        kinds = list(_kinds(cls.model_fields[str(field.field_name)].annotation))
        if any(isinstance(entry, bool) for entry in entries) and not any(kind in (bool, True, Any) for kind in kinds):
            number = "a number, or null for none" if NoneType in kinds else "a number"
            expected = number if {int, float} & set(kinds) else "something else"
            raise ValueError(f"expected {expected}; yes, no, on and off are true and false in YAML unless they are quoted")
        return value


def _kinds(annotation: Any) -> Iterator[Any]:
    """What a value may be, without the constraints: int and None for `Annotated[int, Field(gt=0)] | None`."""
    inner = get_args(annotation)
    if not inner:
        yield annotation
    for part in inner[:1] if get_origin(annotation) is Annotated else inner:
        yield from _kinds(part)
