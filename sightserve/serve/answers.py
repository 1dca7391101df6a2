"""The gateway's answers, as a person reads them."""

from __future__ import annotations

from typing import Any

import httpx


def content(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; an empty one if it has none."""
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def problem(answer: httpx.Response) -> str:
    """What an answer that is no success says, in one line."""
    said = content(answer)
    detail = said.get("detail") or said.get("title") or answer.reason_phrase
    return f"{answer.status_code}: {detail}"
