"""The page that a problem's `type` leads to: that problem, then all of them. No scripts."""

from __future__ import annotations

import re
from html import escape
from typing import Final

from app.http.problem_texts import WHEN
from app.http.problems import HTTP_PROBLEM_TYPES, PROBLEM_TYPES, TYPE_PREFIX, ProblemType

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1c2024; background: #fff; }
code { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid #ddd; }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6e6; background: #16181a; } th, td { border-color: #333; } a { color: #8ab4f8; }
}
"""


def problem_rows() -> list[ProblemType]:
    """Every type of problem, by status."""
    kinds = [*PROBLEM_TYPES.values(), *HTTP_PROBLEM_TYPES.values()]
    return sorted(kinds, key=lambda kind: (kind.status, kind.slug))


def render(shown: ProblemType | None) -> str:
    """The page about one type, or about all of them."""
    title = "Problems" if shown is None else shown.title
    about = "" if shown is None else _about(shown)
    rows = "".join(
        f'<tr id="{kind.slug}"><td>{kind.status}</td>'
        f'<td><a href="{TYPE_PREFIX}{kind.slug}"><code>{TYPE_PREFIX}{kind.slug}</code></a></td>'
        f"<td>{escape(kind.title)}</td></tr>"
        for kind in problem_rows()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{about}"
        "<p>Answers that are not 2xx are problem details after RFC 9457. "
        '<a href="/docs">The API</a></p>'
        "<table><thead><tr><th>status</th><th>type</th><th>title</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></body></html>"
    )


def _about(kind: ProblemType) -> str:
    when = re.sub("`([^`]*)`", r"<code>\1</code>", escape(WHEN.get(kind.slug, "")))
    return f"<p>Status {kind.status}, <code>{TYPE_PREFIX}{kind.slug}</code>: {when}.</p>"
