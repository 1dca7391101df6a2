"""Which names the service answers to (Host), and whose pages may call it (Origin)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from app.text import comma_separated

_PATTERN: Final = re.compile(
    r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"
    r"|\[[0-9a-f:.]+\]"
)
_HOST: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::[0-9]{0,5})?")
"""A Host header: the name, and maybe a port (RFC 9110, 7.2)."""
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def parse_hosts(value: str | Sequence[str]) -> tuple[str, ...]:
    """Read names, separated by commas; `*.example.com` is every name below example.com.

    Raises:
        ValueError: one of them is no name.
    """
    if not isinstance(value, str):
        return tuple(value)
    names = tuple(comma_separated(value.lower()))
    for name in names:
        if not _PATTERN.fullmatch(name):
            raise ValueError(f"{name!r} is no host name such as example.com or *.example.com")
    return names


def parse_origins(value: str | Sequence[str]) -> tuple[str, ...]:
    """Read origins as browsers send them, separated by commas; `*` is every origin.

    Raises:
        ValueError: one of them is no origin.
    """
    if not isinstance(value, str):
        return tuple(value)
    origins = tuple(comma_separated(value.lower()))
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{origin!r} is no origin such as https://app.example.com: scheme, host, and a "
                "port if it is not the usual one, without a path or a last slash"
            )
    return origins


class AllowedHosts:
    """The allow-list, asked for every request."""

    def __init__(self, names: Sequence[str]) -> None:
        self._exact = frozenset(name for name in names if not name.startswith("*."))
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))

    def allows(self, host: str) -> bool:
        """Whether a Host header, with its port or without, names one of ours."""
        match = _HOST.fullmatch(host.strip().lower())
        if match is None:  # what follows our name is no port: who knows whom a cache takes it for
            return False
        name = match[1].removesuffix(".")
        if name in self._exact:
            return True
        return any(name.endswith(suffix) and len(name) > len(suffix) for suffix in self._suffixes)
