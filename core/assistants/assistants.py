"""Assistants as administrators keep them and as turns find them. It runs nothing, and knows no HTTP."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.assistants.definition import Definition, read_definition
from core.errors import Conflict, InvalidRequest, NotFound
from core.identity.principals import Principal, Scope
from core.llm.router import ModelRouter
from core.storage.assistants import AssistantStore, Text
from core.storage.records import AssistantVersion, Page
from core.tools.catalog import Catalog

RESERVED = frozenset({"auto", "default", "none", "paddock"})
ID_PREFIX = "asst_"


class Assistants:
    """known_as: an assistant's id or its name. Methods that take one raise NotFound."""

    def __init__(self, store: AssistantStore, models: ModelRouter, catalog: Catalog) -> None:
        self._store = store
        self._models = models
        self._catalog = catalog

    async def create(self, principal: Principal, name: str, definition: Definition) -> AssistantVersion:
        """Raises InvalidRequest, and Conflict for a name that is taken by an assistant or a model."""
        principal.require(Scope.ADMIN)
        if name.lower() in RESERVED or name.lower().startswith(ID_PREFIX):
            raise InvalidRequest(f"the name {name!r} is reserved", param="name", code="reserved_name")
        if name in self._models.names:
            raise Conflict(f"a model is named {name!r}", param="name", code="name_taken")
        await self._check(principal, definition, itself=name)
        return await self._store.create(principal, name, definition.text())

    async def change(self, principal: Principal, known_as: str, changes: Mapping[str, Any]) -> AssistantVersion:
        """changes: fields of `Definition`; the others stay. Makes a version, unless nothing changes. Raises InvalidRequest."""
        principal.require(Scope.ADMIN)
        current = await self._store.get(principal.organization_id, known_as)
        await self._check(principal, replace(read_definition(current.definition), **changes), itself=current.name)

        def changed(definition: str) -> Text:
            return replace(read_definition(definition), **changes).text()

        return await self._store.change(principal, known_as, changed)

    async def delete(self, principal: Principal, known_as: str) -> AssistantVersion:
        """Turns that run under it go on. Its name is free again."""
        principal.require(Scope.ADMIN)
        return await self._store.delete(principal, known_as)

    async def get(self, organization_id: str, known_as: str, *, version: int | None = None) -> AssistantVersion:
        return await self._store.get(organization_id, known_as, version=version)

    async def list(self, organization_id: str, *, after: str | None, limit: int, descending: bool) -> Page[AssistantVersion]:
        return await self._store.list(organization_id, after=after, limit=limit, descending=descending)

    async def versions(
        self, organization_id: str, known_as: str, *, after: int | None, limit: int, descending: bool
    ) -> Page[AssistantVersion]:
        return await self._store.versions(organization_id, known_as, after=after, limit=limit, descending=descending)

    async def named(self, organization_id: str, model: str) -> AssistantVersion | None:
        """Whom a request means that asks for such a model. A declared model comes before an assistant of its name."""
        return None if model in self._models.names else await self._store.named(organization_id, model)

    async def _check(self, principal: Principal, definition: Definition, *, itself: str) -> None:
        """What it leans on is there, and is no assistant."""
        if definition.model not in self._models.names:
            if definition.model == itself or await self._store.named(principal.organization_id, definition.model):
                message = f"{definition.model!r} is an assistant; the model of an assistant must be a declared model"
                raise InvalidRequest(message, param="model", code="assistant_as_model")
            try:
                self._models.get(definition.model)
            except NotFound as exc:
                raise InvalidRequest(exc.message, param=exc.param, code=exc.code) from exc
        for name in definition.builtins:
            self._catalog.builtin(name)
        if missing := await self._catalog.missing(principal.organization_id, definition.granted):
            message = f"no tool {missing!r} in the registry, or it is turned off"
            raise InvalidRequest(message, param="tools", code="unknown_tool")
