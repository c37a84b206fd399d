"""An open folder: the file's name is the runtime's name, and there is no list to keep in step."""

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from sandbox.contract import RuntimeModule


def available() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def load(name: str) -> RuntimeModule:
    if name not in available():
        raise LookupError(f"unknown runtime {name!r}; available: {', '.join(available())}")
    return cast(RuntimeModule, import_module(f"{__name__}.{name}"))
