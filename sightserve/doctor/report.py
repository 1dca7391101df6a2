"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["ok", "warning", "problem"]
"""warning: it works, or works without it; problem: what was asked for does not work."""

MEGABYTE: Final = 1_000_000
GIGABYTE: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of what is, and one of how to mend it."""

    check: str
    """A stable word for programs, such as `memory`."""
    level: Level
    found: str
    fix: str | None = None
    """None where nothing is to be mended."""


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check=check, level="ok", found=found)


def warning(check: str, found: str, fix: str) -> Finding:
    """It goes on, but worse, or without something."""
    return Finding(check=check, level="warning", found=found, fix=fix)


def problem(check: str, found: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(check=check, level="problem", found=found, fix=fix)


def size(size_bytes: int) -> str:
    """A size for people."""
    if size_bytes >= GIGABYTE:
        return f"{size_bytes / GIGABYTE:.1f} GB"
    return f"{size_bytes / MEGABYTE:.1f} MB"


def one_line(text: str, *, limit: int = 200) -> str:
    """The first line of a foreign text, without what a terminal would obey."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return "".join(each for each in first if each.isprintable())[:limit]
