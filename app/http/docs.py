"""GET /docs: the API in a browser, offline; /openapi.json; the page of each type of problem."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from app.http import problem_page, swagger
from app.http.page import security_headers
from app.http.problems import TYPE_PREFIX

router = APIRouter(include_in_schema=False)

_NOT_FOUND = 404


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Swagger UI."""
    app = request.app
    info = {"title": app.title, "version": app.version}
    return HTMLResponse(swagger.page(info), headers=swagger.headers())


@router.get("/docs/{name}")
async def docs_file(request: Request, name: str) -> Response:
    """What that page loads."""
    if name == swagger.START:
        return Response(
            swagger.SCRIPT, media_type="text/javascript", headers={"Cache-Control": "no-cache"}
        )
    if name not in swagger.ASSETS:
        raise HTTPException(_NOT_FOUND)
    return swagger.asset(request, name)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document. FastAPI's own route would encode it anew for each request."""
    kept: dict[str, bytes] = request.app.state.documents
    if "openapi" not in kept:
        kept["openapi"] = to_json(request.app.openapi())
    return Response(
        kept["openapi"], media_type="application/json", headers={"Cache-Control": "no-cache"}
    )


@router.get(TYPE_PREFIX)
async def problems() -> HTMLResponse:
    """Every type of problem."""
    return _problem_page(problem_page.render(None))


@router.get(TYPE_PREFIX + "{slug}")
async def problem(slug: str) -> HTMLResponse:
    """What a problem's `type` leads to."""
    for kind in problem_page.problem_rows():
        if kind.slug == slug:
            return _problem_page(problem_page.render(kind))
    raise HTTPException(_NOT_FOUND)


def _problem_page(html: str) -> HTMLResponse:
    return HTMLResponse(html, headers=security_headers(html))
