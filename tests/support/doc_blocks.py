"""The code of the pages: which blocks there are, how each is tested, and what runs one.

A block in a language that can be run has a comment before it:

    <!-- run -->             it succeeds, after the blocks before it, in the page's own folder
    <!-- run: digits -->     it succeeds in the repository's root, with the digits served
    <!-- service -->         it goes on running until the page's end, or the next service
    <!-- fails: 4 -->        it ends with that exit code
    <!-- file: NAME -->      it is what a reader saves under that name
    <!-- parsed -->          each line is read by its command, which would take it
    <!-- norun: reason -->   it is not run here; the reason is for the next editor
    <!-- needs: … -->        tests/deploy and tests/docker run it

If a block marked `<!-- output -->` follows, what was printed must be that, up to the figures in it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.processes import ROOT

_BLOCK = re.compile(
    r"(?:^<!-- (?P<kind>[a-z]+)(?:: (?P<argument>[^\n]*?))? -->\n+)?"
    r"^```(?P<language>[a-z]*)[^\n]*\n(?P<code>.*?)^```$"
    r"(?:\s+<!-- output -->\n+```\w+\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
_RUNNABLE = {"bash", "sh", "python", "js", "javascript", "ts", "typescript"}
_SUFFIXES = {"js": ".mjs", "javascript": ".mjs", "ts": ".mts", "typescript": ".mts"}
_FIGURES = re.compile(r"\d+(?:[.,]\d+)*")
_OLDEST_NODE = (23, 6)
"""The first that runs TypeScript as it is."""


@dataclass(frozen=True)
class Block:
    """A piece of code in a page, and how it is tested."""

    page: Path
    line: int
    language: str
    kind: str
    """Of its comment: `run`, `norun` and so on; empty where it has none."""
    argument: str
    code: str
    output: str | None

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}-{self.language}"


def pages() -> list[Path]:
    """All that is documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """All of a page that can be run, in order."""
    text = page.read_text()
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("code")),
            language=found["language"],
            kind=found["kind"] or "",
            argument=found["argument"] or "",
            code=found["code"],
            output=found["output"],
        )
        for found in _BLOCK.finditer(text)
        if found["language"] in _RUNNABLE
    ]


def run(
    block: Block,
    tools: Path,
    addresses: Mapping[str, str],
    *,
    folder: Path = ROOT,
    exit_code: int = 0,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a block; what it printed.

    Args:
        block: of a page.
        tools: a folder for what is needed to run it.
        addresses: of the reader to ours, such as {"127.0.0.1:8000": "127.0.0.1:41234"}.
        folder: where the reader is.
        exit_code: how it must end.
        environment: what else the reader has set.
    """
    done = subprocess.run(
        _command(block.language, replaced(block.code, addresses), tools),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**surroundings(tools), **(environment or {})},
    )
    assert done.returncode == exit_code, f"{block}:\n{block.code}\n{done.stdout}\n{done.stderr}"
    if block.output is not None:
        assert _shape(done.stdout + done.stderr) == _shape(block.output), done.stdout + done.stderr
    return done.stdout


def replaced(text: str, addresses: Mapping[str, str]) -> str:
    """The text with our addresses."""
    for theirs, ours in addresses.items():
        text = text.replace(theirs, ours)
    return text


def surroundings(tools: Path) -> dict[str, str]:
    """An environment with `sightserve` and `python` as a reader has them."""
    folder = tools / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name, arguments in {"python": "", "sightserve": "-m sightserve"}.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        script.chmod(0o755)
    return {
        **{name: value for name, value in os.environ.items() if "SIGHTSERVE" not in name},
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }


def _shape(text: str) -> list[list[str]]:
    """Without figures and the width of columns."""
    return [_FIGURES.sub("0", line).split() for line in text.strip().splitlines()]


def _command(language: str, code: str, tools: Path) -> list[str]:
    if language in {"bash", "sh"}:
        return ["bash", "-euo", "pipefail", "-c", code]
    if language == "python":
        return [sys.executable, "-W", "error", "-c", code]
    script = tools / f"block{_SUFFIXES[language]}"
    script.write_text(code)
    return [node(), str(script)]


@cache
def _node() -> str | None:
    """A Node that runs TypeScript: the one in PATH, or the one that comes with Playwright."""
    import playwright  # noqa: PLC0415 - for its folder

    bundled = Path(playwright.__file__).parent / "driver" / "node"
    for each in (shutil.which("node"), str(bundled)):
        if each is None or not Path(each).exists():
            continue
        said = subprocess.run([each, "--version"], capture_output=True, text=True, check=True)
        if tuple(map(int, said.stdout.strip().lstrip("v").split(".")[:2])) >= _OLDEST_NODE:
            return each
    return None


def node() -> str:
    """Its path, or a skip."""
    return _node() or pytest.skip(f"no Node {_OLDEST_NODE[0]}.{_OLDEST_NODE[1]} or later here")
