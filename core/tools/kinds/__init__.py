"""An open folder: how a tool is made, one file a kind. The file's name is the manifest's `runtime.kind`."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import BaseModel

from sandbox import Invocation

if TYPE_CHECKING:
    from core.tools.definition import ToolVersion


class Kind(Protocol):
    """What a file in this folder provides. Options: the schema of the manifest's `runtime` object."""

    Options: type[BaseModel]

    def invocation(self, version: "ToolVersion", invocation_id: str, arguments: Mapping[str, Any], /) -> Invocation:
        """A validated call as something a sandbox can run."""
        ...


def available() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def load(name: str) -> Kind:
    """Raises LookupError."""
    if name not in available():
        raise LookupError(f"unknown kind {name!r}; available: {', '.join(available())}")
    return cast(Kind, import_module(f"{__name__}.{name}"))  # a module is its own implementation of the protocol
