"""The command blocks of docs/operations.md, and what each needs."""

import re
from dataclasses import dataclass

from tests.support.processes import ROOT

PAGE = ROOT / "docs/operations.md"
NEEDS = {"stack", "promtool", "a cluster", "a registry"}
_BLOCK = re.compile(
    r"^(?:<!-- needs: ([a-z ]+) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block of commands, below the nearest heading above it."""

    heading: str
    needs: str | None
    language: str
    commands: str


def blocks() -> list[Block]:
    text = PAGE.read_text()
    return [
        Block(_HEADING.findall(text[: match.start()])[-1], match[1], match[2], match[3])
        for match in _BLOCK.finditer(text)
    ]
