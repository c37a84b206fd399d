"""An open folder: the file name is the backend's name, and there is no list to keep in step."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from core.llm.contract import BackendModule


@cache
def available() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def load(name: str) -> BackendModule:
    """Raises LookupError. Imports the file, and with it nothing that only some installations have."""
    if name not in available():
        raise LookupError(f"unknown backend {name!r}; available: {', '.join(available())}")
    return cast(BackendModule, import_module(f"{__name__}.{name}"))
