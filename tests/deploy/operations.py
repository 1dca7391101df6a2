"""The command blocks of docs/operations.md and docs/alerts.md, and what each needs."""

import re
from dataclasses import dataclass

from tests.support.processes import ROOT

PAGES = (ROOT / "docs/operations.md", ROOT / "docs/alerts.md")
NEEDS = {"stack", "promtool", "a cluster", "a real cluster", "a registry"}
_BLOCK = re.compile(
    r"^(?:<!-- needs: ([a-z ]+) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block of commands, below the nearest heading above it."""

    heading: str
    needs: str | None
    language: str
    commands: str


def blocks() -> list[Block]:
    return [block for page in PAGES for block in _blocks(page.read_text())]


def _blocks(text: str) -> list[Block]:
    return [
        Block(_HEADING.findall(_prose(text[: match.start()]))[-1], match[1], match[2], match[3])
        for match in _BLOCK.finditer(text)
    ]


def _prose(text: str) -> str:
    """Without the blocks, whose comments look like headings."""
    return _BLOCK.sub("", text)
