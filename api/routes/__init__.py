"""An open folder: one file a resource, each with a `router`."""

from importlib import import_module
from pkgutil import iter_modules

from api.route import Route


def load_all() -> list[Route]:
    return [route for module in iter_modules(__path__) for route in import_module(f"{__name__}.{module.name}").router.routes]
