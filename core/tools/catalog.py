"""Which tools there are. Today: those that ship."""

import json
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files

from core.errors import InvalidRequest
from core.tools.definition import ToolVersion, parse_manifest


class Catalog:
    @cached_property
    def builtins(self) -> Mapping[str, ToolVersion]:
        manifests = (entry for entry in files("core.tools.builtin").iterdir() if entry.name.endswith(".json"))
        versions = [parse_manifest(json.loads(entry.read_text())) for entry in manifests]
        return {version.name: version for version in versions}

    def builtin(self, name: str) -> ToolVersion:
        """Raises InvalidRequest."""
        try:
            return self.builtins[name]
        except KeyError:
            known = ", ".join(sorted(self.builtins))
            raise InvalidRequest(f"no built-in tool {name!r}; available: {known}", param="tools", code="unknown_tool") from None
