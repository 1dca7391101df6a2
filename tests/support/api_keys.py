"""Two clients' API keys, and what a refusal has to look like."""

from __future__ import annotations

from hashlib import sha256

import httpx

KEY, OTHER = "k-alice", "k-bob"
BEARER = {"Authorization": f"Bearer {KEY}"}


def hash_line(name: str, key: str) -> str:
    """A line of the file of keys."""
    return f"{name}:{sha256(key.encode()).hexdigest()}\n"


def problem(answer: httpx.Response) -> str:
    """The slug of a problem, after a look at its form."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    return body["type"].removeprefix("/problems/")
