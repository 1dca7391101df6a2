"""GET / : the page for people, one answer with inline scripts and style, no CDN.

It is written as several small files in `app/web`, put into one as the gateway starts: no build
step, no further routes, and nothing to fetch that a key or an admin port could keep away. Its
Content-Security-Policy names the hashes of exactly those inline parts: an injected script has no
hash and does not run.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.http.dependencies import services_of

WEB: Final = Path(__file__).parent.parent / "web"
PAGE: Final = WEB / "index.html"

_LIMITS: Final = ("max_body_bytes", "max_batch_files", "max_batch_body_bytes")
"""The settings that the page keeps to when it sends pictures; `{{name}}` in the page."""


def page_router(html: str) -> APIRouter:
    """The route for one page, whose scripts and styles are files in `app/web`."""
    router = APIRouter(include_in_schema=False)
    html = _inlined(html)
    headers = security_headers(html)

    @router.get("/")
    async def page(request: Request) -> HTMLResponse:
        settings = services_of(request).settings
        filled = html
        for name in _LIMITS:
            filled = filled.replace(f"{{{{{name}}}}}", str(getattr(settings, name)))
        return HTMLResponse(filled, headers=headers)

    return router


def security_headers(html: str) -> dict[str, str]:
    """Headers that let the page's own inline parts run, and nothing else."""
    scripts = _hashes(html, "script")
    styles = _hashes(html, "style")
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; "
        "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-cache",
    }


def _inlined(html: str) -> str:
    """The page with `<script src>` and `<link rel=stylesheet>` replaced by what they name."""

    def content(found: re.Match[str]) -> str:
        text = (WEB / found["name"]).read_text(encoding="utf-8")
        tag = "style" if found["name"].endswith(".css") else "script"
        return f"<{tag}>{text}</{tag}>"

    html = re.sub(r'<link rel="stylesheet" href="(?P<name>[a-z]+\.css)">', content, html)
    return re.sub(r'<script src="(?P<name>[a-z]+\.js)"></script>', content, html)


def _hashes(html: str, tag: str) -> str:
    parts = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", html, re.DOTALL)
    digests = (b64encode(sha256(part.encode()).digest()).decode() for part in parts)
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
