"""An open folder: one file a resource, each with a `router`."""

from importlib import import_module
from pkgutil import iter_modules

from fastapi import APIRouter


def load_all() -> list[APIRouter]:
    return [import_module(f"{__name__}.{module.name}").router for module in iter_modules(__path__)]
