"""GET /docs: the API as one page made of the OpenAPI document, offline and without scripts.

The usual Swagger page loads its scripts from a CDN, which is no good in a closed network; for
generated clients and tools there is /openapi.json.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic_core import to_json

from app.http.page import security_headers
from app.http.ports import PROBES
from app.http.problems import HTTP_PROBLEM_TYPES, PROBLEM_TYPES, TYPE_PREFIX, ProblemType

router = APIRouter(include_in_schema=False)

_T = TypeVar("_T")

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1c2024; background: #fff; }
h2 { margin-top: 2rem; border-top: 1px solid #ddd; padding-top: 1rem; }
code { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid #eee; }
:target { background: #fff3c4; }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6e6; background: #16181a; } :target { background: #4a3f12; }
  h2, th, td { border-color: #333; } a { color: #8ab4f8; }
}
"""


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The page."""
    html = _kept(request.app, render)
    return HTMLResponse(html, headers=security_headers(html))


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document. FastAPI's own route would encode it anew for each request."""
    return Response(_kept(request.app, to_json), media_type="application/json")


def _kept(app: FastAPI, rendering: Callable[[dict[str, Any]], _T]) -> _T:
    """The application's document in that form, made at the first request that wants it."""
    kept: dict[object, Any] = app.state.documents
    if rendering not in kept:
        kept[rendering] = rendering(app.openapi())
    return kept[rendering]  # type: ignore[no-any-return]  # what `rendering` returned


@router.get(TYPE_PREFIX + "{slug}")
async def problem(slug: str) -> RedirectResponse:
    """What a problem's `type` leads to: its row on the page."""
    known = {kind.slug for kind in problem_rows()}
    return RedirectResponse(f"/docs#{slug}" if slug in known else "/docs#problems")


def declare_keys(app: FastAPI) -> None:
    """Say in the OpenAPI document that calls need an API key, in either header; probes do not."""
    without_keys = app.openapi

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

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of extending it


def problem_rows() -> list[ProblemType]:
    """Every type of problem, by status."""
    kinds = [*PROBLEM_TYPES.values(), *HTTP_PROBLEM_TYPES.values()]
    return sorted(kinds, key=lambda kind: (kind.status, kind.slug))


def render(openapi: dict[str, Any]) -> str:
    """The OpenAPI document as HTML."""
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    )
    rows = "".join(
        f'<tr id="{kind.slug}"><td>{kind.status}</td><td><code>{TYPE_PREFIX}{kind.slug}</code></td>'
        f"<td>{escape(kind.title)}</td></tr>"
        for kind in problem_rows()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(openapi['info']['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(openapi['info']['title'])} {escape(openapi['info']['version'])}</h1>"
        f"<p>{escape(openapi['info']['description'])} "
        'For tools: <a href="openapi.json">openapi.json</a>.</p>'
        f'{operations}<h2 id="problems">Problems</h2>'
        f"<table><tr><th>status</th><th>type</th><th>title</th></tr>{rows}</table></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    bodies = operation.get("requestBody", {}).get("content", {})
    body = "".join(f"<li><code>{escape(media_type)}</code></li>" for media_type in bodies)
    parameters = "".join(_parameter(each) for each in operation.get("parameters", ()))
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        + (f"<p>Body, one of:</p><ul>{body}</ul>" if body else "")
        + (f"<table><tr><th>parameter</th><th></th></tr>{parameters}</table>" if parameters else "")
    )


def _parameter(parameter: dict[str, Any]) -> str:
    where = "" if parameter["in"] == "query" else f" ({parameter['in']})"
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code>{where}</td>"
        f"<td>{escape(parameter.get('description', ''))}</td></tr>"
    )
