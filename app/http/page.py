"""GET / : the page for people, one static file with inline script and style, no CDN.

Its Content-Security-Policy names the hashes of exactly those inline parts, computed at start: an
injected script has no hash and does not run, and the page needs no build step.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

PAGE: Final = Path(__file__).parent.parent / "web" / "index.html"


def page_router(html: str) -> APIRouter:
    """The route for one page."""
    router = APIRouter(include_in_schema=False)
    headers = security_headers(html)

    @router.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers=headers)

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


def _hashes(html: str, tag: str) -> str:
    parts = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", html, re.DOTALL)
    digests = (b64encode(sha256(part.encode()).digest()).decode() for part in parts)
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
