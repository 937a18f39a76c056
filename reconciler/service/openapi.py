"""The OpenAPI 3.1 document of the API, written from the table of operations that also drives the routes."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from reconciler import __version__
from reconciler.service.api.operation import Operation
from reconciler.service.api.table import OPERATIONS
from reconciler.service.problems import MEDIA_TYPE

#: Where the schema of each model stands in the document.
Names = Mapping[Any, str]
_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"{(\w+)}")
_TENANT_OR_KEY = {"type": "string", "minLength": 1, "maxLength": 255}
_WHAT = {
    400: "The request cannot be read.",
    401: "There is no valid credential.",
    402: "The call has to be paid for first.",
    403: "Not allowed to this tenant, or to this credential.",
    404: "There is no such thing.",
    409: "Not in this state.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Values that cannot be taken, or a key that was used for another request.",
    429: "Too soon; `Retry-After` says when.",
    431: "The headers are too large.",
    502: "Stripe refused.",
    503: "The ledger or Stripe cannot be reached; with a key it is safe to ask again.",
}
#: What any operation may be answered with, and those that take a body.
_ANY, _WITH_BODY = (400, 401, 403, 429, 431, 503), (413, 415)
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457). `code` is stable.",
    "required": ["type", "title", "status", "instance", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri", "description": "Names the request, as in the logs."},
        "code": {"type": "string"},
        "error_code": {"type": "string", "description": "`reconciler explain CODE` explains it."},
        "errors": {"type": "array", "items": {"type": "object"}, "description": "What is wrong, with JSON pointers."},
        "decision": {"$ref": "#/components/schemas/DecisionAnswer"},
        "remedy": {"anyOf": [{"$ref": "#/components/schemas/RemedyAnswer"}, {"type": "null"}]},
        "x402Version": {"type": "integer"},
        "error": {"type": "string"},
        "accepts": {"type": "array", "items": {"type": "object"}},
    },
}
_AFTER = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait."}}


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    names, schemas = _schemas(OPERATIONS)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, names, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "reconciler",
            "version": __version__,
            "description": "May this tenant call this tool now, what does it cost, and the books of what was used.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of a tenant or an operator, or a JSON Web Token.",
                }
            },
        },
        "security": [{"key": []}],
    }


def _models(operations: Iterable[Operation]) -> list[type[BaseModel]]:
    found = [model for each in operations for model in (each.body, each.query, each.returns) if model is not None]
    return list(dict.fromkeys(found))


def _schemas(operations: Iterable[Operation]) -> tuple[Names, dict[str, Any]]:
    """Return where the schema of each model is, and all schemas; models of one name get longer ones."""
    models = _models(operations)
    places, found = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    names = {model: str(place["$ref"]) for (model, _), place in places.items()}
    return names, {**dict(sorted(found["$defs"].items())), "Problem": _PROBLEM}


def _operation(operation: Operation, names: Names, schemas: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.resource],
        "parameters": _parameters(operation, names, schemas),
        "responses": _responses(operation, names),
    }
    if operation.description:
        found["description"] = operation.description
    if operation.who == "anyone":
        found["security"] = []
    if operation.body is not None:
        content = {"application/json": {"schema": {"$ref": names[operation.body]}}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _parameters(operation: Operation, names: Names, schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _TENANT_OR_KEY}
        for name in _PARAMETER.findall(operation.path)
    ]
    if operation.query is not None:
        schema = schemas[names[operation.query].rpartition("/")[2]]
        found += [
            {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _plain(each)}
            for name, each in schema["properties"].items()
        ]
    if operation.key != "none":
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": operation.key == "required",
                "description": "Makes it happen once, however often it is tried.",
                "schema": {"type": "string", "pattern": r"^[\x21\x23-\x7d][\x21\x23-\x7e]{0,199}$"},
            }
        )
    return found


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter that may be left out, in place of one that may be null."""
    options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    found = {name: value for name, value in schema.items() if name not in {"anyOf", "default", "title"}}
    return {**options[0], **found} if options else found


def _responses(operation: Operation, names: Names) -> dict[str, Any]:
    answer = {"application/json": {"schema": {"$ref": names[operation.returns]}}}
    found: dict[str, Any] = {"200": {"description": operation.summary + ".", "content": answer}}
    statuses = {*_ANY, *operation.problems, *(_WITH_BODY if operation.body is not None else ())}
    if operation.body is not None or operation.query is not None or _PARAMETER.search(operation.path):
        statuses.add(422)
    if operation.who == "anyone":
        statuses -= {401, 403}
    for status in sorted(statuses):
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        found[str(status)] = {"description": _WHAT[status], "content": content}
        if status in (429, 503):
            found[str(status)]["headers"] = _AFTER
    return found
