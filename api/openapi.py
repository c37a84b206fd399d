"""The OpenAPI document, made of what the routes say they read."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.idempotency import HEADER, LONGEST_KEY
from api.route import JSON, Route

References = Mapping[type[BaseModel], str]

_REF = "#/components/schemas/{model}"
_MEANINGS = {
    400: "The request is wrong; `param` tells where.",
    401: "The API key is missing, unknown, expired or revoked.",
    403: "The key lacks the scope.",
    404: "There is no such object in the key's organisation.",
    409: "It cannot be done as things are: a name is taken, or the object is in use.",
    410: "Its stream is not kept any more.",
    413: "The body is too large.",
    415: "The body is of another kind.",
    422: "The Idempotency-Key was used for another request.",
    429: "A limit is used up, here or at the model's provider; `Retry-After` says when to come again, where that is known.",
    500: "A mistake of ours; the log has more under the request's id.",
    502: "The model's provider answered wrongly.",
    503: "Something that is needed is down; try again later.",
    504: "The model did not answer in time.",
    507: "The disk for files is full.",
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


def openapi_document(known: Sequence[Route]) -> dict[str, Any]:
    models = dict.fromkeys(model for route in known for model in (route.body, route.query, route.form) if model is not None)
    keys: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in models]
    shapes, document = models_json_schema(keys, ref_template=_REF)  # of one name in two files it makes two names
    references = {model: shapes[model, "validation"]["$ref"] for model in models}
    schemas: dict[str, Any] = {**document["$defs"], "Error": _ERROR}
    paths: dict[str, dict[str, Any]] = {}
    for route in known:
        path = re.sub(r":\w+\}", "}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, references, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Paddock", "version": "1", "description": "Agent conversations whose tool calls run in sandboxes."},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(route: Route, references: References, schemas: dict[str, Any]) -> dict[str, Any]:
    query = schemas[references[route.query].rpartition("/")[2]] if route.query is not None else {}
    resource = route.reads.__module__.rpartition(".")[2]
    operation: dict[str, Any] = {
        "operationId": f"{resource}_{route.reads.__name__}",
        "tags": [resource],
        "parameters": [*_path_parameters(route.path), *_query_parameters(query), *_header_parameters(route.method)],
        "responses": _responses(route),
    }
    if route.reads.__doc__:
        operation["description"] = route.reads.__doc__
    if not _is_open(route):
        operation["security"] = [{"key": []}] if route.rule is not None else [{}, {"key": []}]
    for kind, model in ((JSON, route.body), ("multipart/form-data", route.form)):
        if model is not None:
            operation["requestBody"] = {"required": True, "content": {kind: {"schema": {"$ref": references[model]}}}}
    return operation


def _is_open(route: Route) -> bool:
    return route.path.startswith("/health/")


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(shape: Mapping[str, Any]) -> list[dict[str, Any]]:
    properties = shape.get("properties", {})
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]


def _header_parameters(method: str) -> list[dict[str, Any]]:
    told = "The same key and request again get the same answer, and nothing is done twice; kept for 30 days."
    schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY}
    once = {"name": HEADER, "in": "header", "required": False, "description": told, "schema": schema}
    return [once] if method == "POST" else []


def _responses(route: Route) -> dict[str, Any]:
    statuses = {503} if _is_open(route) else {400, 401, 403, 404, 500, 503}  # 404: also what a body or a query names
    if route.method == "POST":
        statuses |= {422}
    if route.method != "GET":
        statuses |= {409}
    if route.body is not None or route.form is not None:
        statuses |= {413, 415}
    if route.form is not None:
        statuses |= {507}
    content: dict[str, Any] = {route.media: {"schema": {"type": "object" if route.media == JSON else "string"}}}
    if "stream" in _fields(route.body):
        statuses |= {429, 502, 504}
    if "stream" in _fields(route.body) or "stream" in _fields(route.query):
        statuses |= {410}
        content["text/event-stream"] = {"schema": {"description": "Server-sent events."}}
    if "format" in _fields(route.query):
        content["text/csv"] = {"schema": {"type": "string"}}
    error = {JSON: {"schema": {"$ref": _REF.format(model="Error")}}}
    refusals = {str(status): {"description": _MEANINGS[status], "content": error} for status in sorted(statuses)}
    return {"200": {"description": "Done.", "content": content}, **refusals}


def _fields(model: type[BaseModel] | None) -> set[str]:
    return set(model.model_fields) if model is not None else set()
