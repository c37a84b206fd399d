"""An open folder: how a tool is made, one file a kind. The file's name is the manifest's `runtime.kind`."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol, cast

from pydantic import BaseModel

from core.tools.work import Call, Work, Workshop

if TYPE_CHECKING:
    from core.tools.definition import ToolVersion


SHIPPED = frozenset({"code"})
"""Kinds that only tools of ours have: no manifest that is registered may name one."""


class Kind(Protocol):
    """What a file in this folder provides. Options: the schema of the manifest's `runtime` object."""

    Options: type[BaseModel]

    def prepare(self, version: "ToolVersion", call: Call, /) -> Work:
        """Raises CallRefused."""
        ...


class Registrable(Kind, Protocol):
    """What one provides that is not in SHIPPED."""

    async def admit(self, version: "ToolVersion", organization_id: str, workshop: Workshop, /) -> "dict[str, object]":
        """At registration: `runtime` as it is to be kept, bound to content. Raises ManifestRefused, SandboxError."""
        ...


def available() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


@cache  # looking into the folder costs more than all the rest of a call's gate
def load(name: str) -> Kind:
    """Raises LookupError."""
    if name not in available():
        raise LookupError(f"unknown kind {name!r}; available: {', '.join(available())}")
    return cast(Kind, import_module(f"{__name__}.{name}"))  # a module is its own implementation of the protocol


def registrable(name: str) -> Registrable:
    """Raises LookupError with the names that a manifest may have."""
    names = [kind for kind in available() if kind not in SHIPPED]
    if name not in names:
        raise LookupError(f"unknown kind {name[:100]!r}; available: {', '.join(names)}")
    return cast(Registrable, load(name))
