"""What an endpoint reads, who may call it, and how it is called: with the request and the parts of its path."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette import routing
from starlette.requests import Request
from starlette.responses import Response

from api.access import rule_of
from api.dependencies import Query, authenticated, query_of, refused
from api.idempotency import HEADER, once
from core.errors import PermissionDenied, RateLimited

JSON = "application/json"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Coroutine[Any, Any, Response]])


class Route(routing.Route):
    """body, query, form: the models that the endpoint reads; a form is a multipart body. One that reads no query refuses
    every parameter in it. media: what it answers with.

    Nobody gets to the endpoint whom the rule in api/access.py does not let in; without a rule there is no route. A POST with
    an Idempotency-Key gets to it once.
    """

    def __init__(
        self,
        method: str,
        path: str,
        endpoint: Endpoint,
        *,
        body: type[BaseModel] | None,
        query: type[Query] | None,
        form: type[BaseModel] | None = None,
        media: str = JSON,
    ) -> None:
        self.rule = rule_of(method, path)

        async def work(request: Request) -> Response:
            return await endpoint(request, **request.path_params)

        async def called(request: Request) -> Response:
            request.scope["route"] = self
            try:
                if self.rule is not None:
                    await authenticated(request, *self.rule)
                if query is None and request.scope["query_string"]:
                    query_of(request, Query)
                if method == "POST" and HEADER in request.headers:
                    return await once(request, self.path, work, form=form is not None)
                return await work(request)
            except (PermissionDenied, RateLimited) as exc:
                await refused(request, f"{method} {path}", exc)
                raise

        super().__init__(path, called, methods=[method], include_in_schema=False)
        self.method = method
        self.reads = endpoint
        self.body = body
        self.query = query
        self.form = form
        self.media = media


class Router:
    """The routes of one resource."""

    def __init__(self, prefix: str) -> None:
        self.routes: list[Route] = []
        self._prefix = prefix

    def get(self, path: str, *, query: type[Query] | None = None, media: str = JSON) -> Callable[[Endpoint], Endpoint]:
        return self._add("GET", path, None, query, media=media)

    def post(
        self,
        path: str,
        *,
        body: type[BaseModel] | None = None,
        query: type[Query] | None = None,
        form: type[BaseModel] | None = None,
    ) -> Callable[[Endpoint], Endpoint]:
        return self._add("POST", path, body, query, form)

    def delete(self, path: str) -> Callable[[Endpoint], Endpoint]:
        return self._add("DELETE", path, None, None)

    def _add(
        self,
        method: str,
        path: str,
        body: type[BaseModel] | None,
        query: type[Query] | None,
        form: type[BaseModel] | None = None,
        media: str = JSON,
    ) -> Callable[[Endpoint], Endpoint]:
        def register(endpoint: Endpoint) -> Endpoint:
            self.routes.append(Route(method, self._prefix + path, endpoint, body=body, query=query, form=form, media=media))
            return endpoint

        return register
