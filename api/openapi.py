"""The OpenAPI document, made of what the routes say they read."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.route import Route

References = Mapping[type[BaseModel], str]

_REF = "#/components/schemas/{model}"
_MEANINGS = {
    400: "The request is wrong; `param` tells where.",
    401: "The API key is missing, unknown, expired or revoked.",
    403: "The key lacks the scope.",
    404: "There is no such object in the key's organisation.",
    409: "It cannot be done now: the conversation or response is in use.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    500: "A mistake of ours; the log has more under the request's id.",
    502: "The model's provider answered wrongly.",
    503: "Something that is needed is down; try again later.",
    504: "The model did not answer in time.",
}
_NULLABLE = {"type": ["string", "null"]}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "param"],
            "properties": {"message": {"type": "string"}, "type": {"type": "string"}, "code": _NULLABLE, "param": _NULLABLE},
        }
    },
}


def openapi_document(routes: Iterable[Route]) -> dict[str, Any]:
    known = list(routes)
    models = dict.fromkeys(model for route in known for model in (route.body_model, route.query_model) if model is not None)
    keys: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in models]
    shapes, document = models_json_schema(keys, ref_template=_REF)  # of one name in two files it makes two names
    references = {model: shapes[model, "validation"]["$ref"] for model in models}
    schemas: dict[str, Any] = {**document["$defs"], "Error": _ERROR}
    paths: dict[str, dict[str, Any]] = {}
    for route in known:
        for method in route.methods or ():
            operation = _operation(route, method, references, schemas)
            paths.setdefault(re.sub(r":\w+\}", "}", route.path), {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Paddock", "version": "1", "description": "Agent conversations whose tool calls run in sandboxes."},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(route: Route, method: str, references: References, schemas: dict[str, Any]) -> dict[str, Any]:
    query = schemas[references[route.query_model].rpartition("/")[2]] if route.query_model is not None else {}
    resource = route.endpoint.__module__.rpartition(".")[2]
    operation: dict[str, Any] = {
        "operationId": f"{resource}_{route.name}",
        "tags": list(route.tags),
        "parameters": [*_path_parameters(route.path), *_query_parameters(query)],
        "responses": _responses(route, method),
    }
    if route.description:
        operation["description"] = route.description
    if not _is_open(route):
        operation["security"] = [{"key": []}]
    if route.body_model is not None:
        content = {"application/json": {"schema": {"$ref": references[route.body_model]}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _is_open(route: Route) -> bool:
    return route.path.startswith("/health/")


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(shape: Mapping[str, Any]) -> list[dict[str, Any]]:
    properties = shape.get("properties", {})
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]


def _responses(route: Route, method: str) -> dict[str, Any]:
    statuses = {503} if _is_open(route) else {400, 401, 403, 500, 503}
    if "{" in route.path:
        statuses |= {404}
    if method == "DELETE":
        statuses |= {409}
    if route.body_model is not None:
        statuses |= {413, 415}
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if "stream" in _fields(route.body_model):
        statuses |= {404, 409, 502, 504}
    if "stream" in _fields(route.body_model) or "stream" in _fields(route.query_model):
        content["text/event-stream"] = {"schema": {"type": "string"}}
    error = {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}}
    refusals = {str(status): {"description": _MEANINGS[status], "content": error} for status in sorted(statuses)}
    return {"200": {"description": "Done.", "content": content}, **refusals}


def _fields(model: type[BaseModel] | None) -> set[str]:
    return set(model.model_fields) if model is not None else set()
