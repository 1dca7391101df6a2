"""Swagger UI from our own disk: its two files come with fastapi-offline and are served as they are.

Usually it comes from a CDN, which is no good in a closed network. The files are read for each who
asks, in pieces: 1.7 MB that somebody looks at twice a day are not held in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

import fastapi_offline
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.http.page import security_headers

_FILES: Final = Path(fastapi_offline.__file__).parent / "static"
ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
"""By name, their media types; redoc, which comes with them, is not served."""
START: Final = "start.js"
SCRIPT: Final = """\
SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
  displayRequestDuration: true, persistAuthorization: false, defaultModelsExpandDepth: 0,
});
"""
_KEPT: Final = "public, max-age=3600"
_NOT_MODIFIED: Final = 304


def page(info: Mapping[str, Any]) -> str:
    """The page; what it says of the API, the scripts make of /openapi.json."""
    title, version = escape(info["title"]), escape(info["version"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{title} {version} API</title>"
        '<link rel="stylesheet" href="/docs/swagger-ui.css"></head><body>'
        '<div id="swagger-ui"><noscript>This page needs scripts, which come from this gateway; '
        '<a href="/openapi.json">openapi.json</a> is the same for tools.</noscript></div>'
        '<script src="/docs/swagger-ui-bundle.js"></script>'
        f'<script src="/docs/{START}"></script></body></html>'
    )


def headers() -> dict[str, str]:
    """Those of the page: scripts, styles and requests of this gateway, and nothing inline.

    Swagger UI sets styles through the DOM, which a policy lets pass; its icons are data URLs.
    """
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return security_headers("") | {"Content-Security-Policy": policy}


def asset(request: Request, name: str) -> Response:
    """One of ASSETS, or that the browser's copy is still the same."""
    path = _FILES / name
    response = FileResponse(
        path,
        media_type=ASSETS[name],
        headers={"Cache-Control": _KEPT},
        stat_result=path.stat(),
    )
    if request.headers.get("if-none-match") == response.headers["etag"]:
        kept = {"ETag": response.headers["etag"], "Cache-Control": _KEPT}
        return Response(status_code=_NOT_MODIFIED, headers=kept)
    return response
