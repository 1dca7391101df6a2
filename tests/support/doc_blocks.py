"""The code blocks of the documentation, run as they stand.

Above a block stands what it needs:

    <!-- run: digits -->        a gateway (and a model server) that serve the digits
    <!-- run: alone -->         nothing
    <!-- norun: reason -->      it is only read; the reason is for the next editor

A test takes a page's blocks and runs each with the addresses of a reader's machine replaced by
those of the test's. Shell, Python, JavaScript and TypeScript run in the repository's root; a block
succeeds if its program does. If a block of `text`, `console` or `json` marked `<!-- output -->`
follows, what was printed must be that, up to the figures in it.
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

_MARKER = re.compile(
    r"<!-- (?P<verb>run|norun): (?P<what>[^>]+?) -->\n+"
    r"```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```"
    r"(?:\s+<!-- output -->\n+```\w+\n(?P<output>.*?)^```)?",
    re.DOTALL | re.MULTILINE,
)
_FENCE = re.compile(r"^```(\w+)", re.MULTILINE)
_RUNNABLE = {"bash", "sh", "python", "js", "javascript", "ts", "typescript"}
_SUFFIXES = {"js": ".mjs", "javascript": ".mjs", "ts": ".mts", "typescript": ".mts"}
_FIGURES = re.compile(r"\d+(?:[.,]\d+)*")
_OLDEST_NODE = (23, 6)
"""The first that runs TypeScript as it is."""


@dataclass(frozen=True)
class Block:
    """One marked block."""

    page: Path
    line: int
    needs: str | None
    """"digits", "alone"; None: it is not run."""
    language: str
    code: str
    output: str | None

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}-{self.language}"


def blocks(page: str, needs: str | None = None) -> list[Block]:
    """The marked blocks of a page, a path from the repository's root; those with that need."""
    path = ROOT / page
    text = path.read_text()
    found = [
        Block(
            page=path,
            line=text.count("\n", 0, match.start("code")),
            needs=match["what"] if match["verb"] == "run" else None,
            language=match["language"],
            code=match["code"],
            output=match["output"],
        )
        for match in _MARKER.finditer(text)
    ]
    return [each for each in found if needs is None or each.needs == needs]


def unmarked(page: str) -> list[int]:
    """The lines of blocks that could run and say neither `run` nor `norun`."""
    text = (ROOT / page).read_text()
    marked = {block.line for block in blocks(page)}
    lines = [
        text.count("\n", 0, fence.start()) + 1
        for fence in _FENCE.finditer(text)
        if fence[1] in _RUNNABLE
    ]
    return [line for line in lines if line not in marked]


def run(block: Block, folder: Path, addresses: Mapping[str, str] | None = None) -> str:
    """Run a block; what it printed.

    Args:
        block: of a page.
        folder: for its files.
        addresses: of the reader to ours, such as {"127.0.0.1:8000": "127.0.0.1:41234"}.
    """
    code = block.code
    for theirs, ours in (addresses or {}).items():
        code = code.replace(theirs, ours)
    done = subprocess.run(
        _command(block.language, code, folder),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=_environment(folder),
    )
    assert done.returncode == 0, f"{block}:\n{code}\n{done.stdout}\n{done.stderr}"
    if block.output is not None:
        assert _shape(done.stdout + done.stderr) == _shape(block.output), done.stdout + done.stderr
    return done.stdout


def _shape(text: str) -> list[list[str]]:
    """Without figures and the width of columns."""
    return [_FIGURES.sub("0", line).split() for line in text.strip().splitlines()]


def _command(language: str, code: str, folder: Path) -> list[str]:
    if language in {"bash", "sh"}:
        return ["bash", "-euo", "pipefail", "-c", code]
    if language == "python":
        return [sys.executable, "-W", "error", "-c", code]
    if language in _SUFFIXES:
        script = folder / f"block{_SUFFIXES[language]}"
        script.write_text(code)
        return [node(), str(script)]
    raise AssertionError(f"nothing here runs {language}")


def _environment(folder: Path) -> dict[str, str]:
    """With `sightserve` and `python` as a reader has them."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    command = tools / "sightserve"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sightserve "$@"\n')
    command.chmod(0o755)
    paths = [str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {
        **{name: value for name, value in os.environ.items() if "SIGHTSERVE" not in name},
        "PATH": os.pathsep.join(paths),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }


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
