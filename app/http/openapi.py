"""The OpenAPI document: FastAPI's, with what it does not know: problems, headers and examples.

FastAPI sees results and parameters. Which problems a route answers says `operations`; the shape of
a problem stands in the document once, and each type's example once.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.http import examples
from app.http.bodies import COMPONENTS
from app.http.open_inference.names import is_open_inference
from app.http.operations import problems_of
from app.http.ports import PROBES
from app.http.problems import MEDIA_TYPE, PROBLEM_TYPES, TYPE_PREFIX, ProblemType
from app.http.schemas import Problem

_OK: Final = "200"
_UNAUTHORIZED: Final = 401
_RETRY_LATER: Final = frozenset({429, 503})
_FASTAPIS_OWN: Final = ("HTTPValidationError", "ValidationError")
_LIMITS: Final = ("RateLimit", "RateLimit-Policy")
_HEADERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "Age": ("Seconds that a kept answer is old.", {"type": "integer"}),
    "Cache-Status": ("`sightserve; hit` where the answer was kept (RFC 9211).", {"type": "string"}),
    "RateLimit": ("What the client may still send, where it is limited.", {"type": "string"}),
    "RateLimit-Policy": ("Its limits, where it is limited.", {"type": "string"}),
    "Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 1}),
    "Server-Timing": ("Milliseconds of each stage.", {"type": "string"}),
    "WWW-Authenticate": ("How to show a key (RFC 6750).", {"type": "string"}),
    "X-Request-Id": ("The request's own id, or one made up.", {"type": "string"}),
}
_OF_RESULTS: Final = {"classify": ("Age", "Cache-Status", "Server-Timing")}


def operation_id(route: APIRoute) -> str:
    """The name of the function: generated clients call theirs the same."""
    return route.name


def document_fully(app: FastAPI) -> None:
    """Let the application's document say all of it, made when it is first asked for."""
    fastapis_own = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(fastapis_own())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of extending it


def declare_keys(app: FastAPI) -> None:
    """Say in the document that calls need an API key, in either header; probes do not."""
    without_keys: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = without_keys()
        document.setdefault("components", {})["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{"bearer": []}, {"header": []}]
        for path in PROBES & document["paths"].keys():
            for operation in document["paths"][path].values():
                operation["security"] = []
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as above


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _FASTAPIS_OWN:
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    schemas.update(COMPONENTS)
    components["schemas"] = dict(sorted(schemas.items()))
    components["headers"] = {
        name: {"description": text, "schema": schema} for name, (text, schema) in _HEADERS.items()
    }
    components["examples"] = {kind.slug: _example(kind) for kind in PROBLEM_TYPES.values()}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(operation, is_probe=path in PROBES)
            if is_open_inference(path):
                _write_errors_as_v2(operation)
    return document


def _complete(operation: dict[str, Any], *, is_probe: bool) -> None:
    name, responses = operation["operationId"], operation["responses"]
    headers = ("X-Request-Id",) if is_probe else ("X-Request-Id", *_LIMITS)
    result = responses.get(_OK)
    if result is not None:
        result["headers"] = _header_refs(*headers, *_OF_RESULTS.get(name, ()))
        if name in examples.RESULTS:
            for content in result["content"].values():
                content["example"] = examples.RESULTS[name]
    for status, kinds in groupby(problems_of(name), key=lambda kind: kind.status):
        responses[str(status)] = _problem_response(list(kinds), headers)
    operation["responses"] = dict(sorted(responses.items()))


def _write_errors_as_v2(operation: dict[str, Any]) -> None:
    """The statuses stay; what is written under them is the Open Inference Protocol's."""
    for status, response in operation["responses"].items():
        if status != _OK:
            schema = {"$ref": "#/components/schemas/OpenInferenceError"}
            response["content"] = {"application/json": {"schema": schema}}


def _problem_response(kinds: list[ProblemType], headers: tuple[str, ...]) -> dict[str, Any]:
    further: tuple[str, ...] = ()
    if kinds[0].status in _RETRY_LATER:
        further = ("Retry-After",)
    elif kinds[0].status == _UNAUTHORIZED:
        further = ("WWW-Authenticate",)
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "headers": _header_refs(*headers, *further),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {
                    kind.slug: {"$ref": f"#/components/examples/{kind.slug}"} for kind in kinds
                },
            }
        },
    }


def _header_refs(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}


def _example(kind: ProblemType) -> dict[str, Any]:
    value: dict[str, Any] = {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
    }
    if kind.slug in examples.DETAILS:
        value["detail"] = examples.DETAILS[kind.slug]
    if kind.slug in examples.PARAMETERS:
        value["parameter"] = examples.PARAMETERS[kind.slug]
    return {"summary": kind.title, "value": value | {"request_id": examples.REQUEST_ID}}
