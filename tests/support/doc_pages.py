"""Somebody who follows a page: types its blocks in a folder of their own, one after the other."""

from __future__ import annotations

import signal
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import doc_blocks
from tests.support.processes import ROOT, Process, answers, free_ports, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.doc_blocks import Block

TYPED = {"run", "service", "fails", "file"}
"""What is followed, of the kinds of blocks."""


class Reader:
    """Has an empty folder with the samples in it, and three ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        gateway, grpc, rest = free_ports(3)
        self._url = f"http://127.0.0.1:{gateway}"
        self._addresses = {":8000": f":{gateway}", ":8500": f":{grpc}", ":8501": f":{rest}"}
        self._ports = f"--port {gateway} --grpc-port {grpc} --rest-port {rest}"
        self._tools = folder / ".tools"
        self._service: Process | None = None
        (folder / "samples").symlink_to(ROOT / "samples")

    def follow(self, block: Block) -> None:
        """Do what the block's comment says."""
        if block.kind == "file":
            (self.folder / block.argument).write_text(block.code)
        elif block.kind == "service":
            self._serve(block)
        else:
            doc_blocks.run(
                block,
                self._tools,
                self._addresses,
                folder=self.folder,
                exit_code=int(block.argument) if block.kind == "fails" else 0,
                environment={"SIGHTSERVE_URL": self._url},
            )

    def close(self) -> None:
        """Press Ctrl-C where something still runs."""
        if self._service is not None:
            self._service.send(signal.SIGINT)
            code = self._service.wait(60)
            assert code == 0, self._service.output
            self.kill()

    def kill(self) -> None:
        if self._service is not None:
            self._service.kill()
            self._service = None

    def _serve(self, block: Block) -> None:
        self.close()
        code = block.code.replace("sightserve serve", f"exec sightserve serve {self._ports}")
        environment = doc_blocks.surroundings(self._tools)
        log = self._tools / f"line-{block.line}.log"
        self._service = service = Process(
            ["bash", "-euc", code], log, folder=self.folder, **environment
        )
        wait_until(
            lambda: answers(f"{self._url}/readyz") or not service.is_running,
            what=str(block),
            seconds=240,
        )
        assert service.is_running, f"{block}:\n{service.output}"


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """Somebody who follows a page, and leaves nothing running."""
    with ExitStack() as stack:
        one = Reader(folder)
        stack.callback(one.kill)
        yield one
        one.close()
