"""The commands of the pages: which there are, what each needs, and a folder in which to type them.

A block in a language that can be run has a comment before it that says how it is tested:

    <!-- run -->             it succeeds, after the blocks before it, in the page's own folder
    <!-- run: digits -->     the same, with the digits served
    <!-- run: alone -->      the same, in a folder without anything
    <!-- service -->         it goes on running until the page's end, or the next service
    <!-- fails: 4 -->        it ends with that exit code
    <!-- file: NAME -->      it is what a reader saves under that name
    <!-- parsed -->          each line is read by its command, which would take it
    <!-- norun: reason -->   it is not run here
    <!-- needs: … -->        tests/deploy and tests/docker run it
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import ROOT, Process, answers, free_ports, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNABLE = {"bash", "sh", "python", "javascript", "typescript"}
PLAYWRIGHTS_NODE = "playwright/driver/node"

_BLOCK = re.compile(
    r"(?:^<!-- (?P<kind>[a-z]+)(?:: (?P<argument>[^\n]*?))? -->\n)?"
    r"^```(?P<language>[a-z]*)[^\n]*\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A piece of code in a page, and how it is tested."""

    page: str
    line: int
    language: str
    kind: str
    argument: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """All of a page that can be run, in order."""
    text = page.read_text()
    return [
        Block(
            page=str(page.relative_to(ROOT)),
            line=text.count("\n", 0, found.start("text")),
            language=found["language"],
            kind=found["kind"] or "",
            argument=found["argument"] or "",
            text=found["text"],
        )
        for found in _BLOCK.finditer(text)
        if found["language"] in RUNNABLE
    ]


class Reader:
    """Types the blocks of one page in a folder of its own, as somebody who follows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gateway, self.grpc, self.rest = free_ports(3)
        self._service: Process | None = None
        self._services = 0
        programs = folder / ".bin"
        programs.mkdir(parents=True)
        for name, command in {"python": "", "sightserve": "-m sightserve"}.items():
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
            script.chmod(0o755)
        self._environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SIGHTSERVE_URL": f"http://127.0.0.1:{self.gateway}",
        }
        (folder / "samples").symlink_to(ROOT / "samples")

    def follow(self, block: Block) -> None:
        """Do what the block's comment says."""
        if block.kind == "file":
            (self.folder / block.argument).write_text(block.text)
        elif block.kind == "service":
            self._serve(block)
        else:
            self._type(block, int(block.argument) if block.kind == "fails" else 0)

    def close(self) -> None:
        """Press Ctrl-C where something still runs."""
        if self._service is not None:
            self._service.send(signal.SIGINT)
            code = self._service.wait(60)
            self._service.kill()
            assert code == 0, self._service.output
            self._service = None

    def kill(self) -> None:
        if self._service is not None:
            self._service.kill()

    def _serve(self, block: Block) -> None:
        self.close()
        command = self._here(block.text).replace("sightserve serve", f"exec {self._serve_command}")
        self._services += 1
        log = self.folder / f".service-{self._services}.log"
        self._service = Process(
            ["bash", "-euc", command], log, folder=self.folder, **self._environment
        )
        service = self._service
        wait_until(
            lambda: answers(f"http://127.0.0.1:{self.gateway}/readyz") or not service.is_running,
            what=block.where,
            seconds=240,
        )
        assert service.is_running, f"{block.where}:\n{service.output}"

    def _type(self, block: Block, code: int) -> None:
        done = subprocess.run(
            self._interpreter(block.language),
            input=self._here(block.text),
            cwd=self.folder,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **self._environment},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == code, f"{block.where}:\n{done.stdout}\n{done.stderr}"

    @property
    def _serve_command(self) -> str:
        return (
            f"sightserve serve --port {self.gateway} --grpc-port {self.grpc} "
            f"--rest-port {self.rest}"
        )

    def _here(self, text: str) -> str:
        """The text with ports that nobody else has."""
        for port, ours in (("8000", self.gateway), ("8500", self.grpc), ("8501", self.rest)):
            text = text.replace(f":{port}", f":{ours}")
        return text

    @staticmethod
    def _interpreter(language: str) -> list[str]:
        if language == "python":
            return [sys.executable, "-"]
        if language in {"javascript", "typescript"}:
            return [node(), f"--input-type=module{'-typescript' * (language == 'typescript')}", "-"]
        return ["bash", "-euo", "pipefail"]


def node() -> str:
    """Node.js: on PATH, else the one that Playwright brings."""
    import playwright  # noqa: PLC0415 - only for these languages

    own = Path(playwright.__file__).parents[1] / PLAYWRIGHTS_NODE
    return str(own) if own.exists() else shutil.which("node") or "node"


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """Somebody who follows a page, and leaves nothing running."""
    with ExitStack() as stack:
        one = Reader(folder)
        stack.callback(one.kill)
        yield one
        one.close()
