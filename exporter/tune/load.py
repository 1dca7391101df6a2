"""The load generator as the search uses it: jobs in, bursts out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from exporter.children import dying_with_us, stop
from exporter.errors import FailedError
from exporter.tune.generator import PHOTOS, PIXELS_FILE
from exporter.tune.rows import Burst

_GENERATOR: Final = f"{__name__.rpartition('.')[0]}.generator"


class Load:
    """A running load generator."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, kind: str, seconds: float, **job: Any) -> Burst:
        """Have a job done: see `generator`.

        Raises:
            FailedError: the generator ended, or nothing that it asked was answered.
        """
        to, back = _pipes(self._process)
        try:
            to.write(json.dumps({"kind": kind, "seconds": seconds, **job}).encode() + b"\n")
            to.flush()
            line = back.readline()
        except OSError:
            line = b""
        if not line:
            raise FailedError("the load generator ended; its last words are above")
        seen = json.loads(line)
        if not seen["latencies_seconds"]:
            raise FailedError(f"nothing was answered: {seen['error'] or 'no time for it'}")
        return Burst(seen["seconds"], tuple(seen["latencies_seconds"]), seen["failed"])


@contextmanager
def running_load(
    pixels: npt.NDArray[np.uint8], photos: Sequence[bytes], folder: Path
) -> Iterator[Load]:
    """A load generator for as long as the block runs.

    Args:
        pixels: uint8 [N,H,W,3], what the model server is asked about.
        photos: files, what the gateway is asked about.
        folder: an empty one for both.
    """
    np.save(folder / PIXELS_FILE, pixels)
    (folder / PHOTOS).mkdir()
    for index, photo in enumerate(photos):
        (folder / PHOTOS / f"{index:06}").write_bytes(photo)
    process = subprocess.Popen(  # noqa: S603 - ourselves
        dying_with_us([sys.executable, "-m", _GENERATOR, str(folder)]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,  # a Ctrl-C is ours to handle
    )
    try:
        yield Load(process)
    finally:
        stop(process)
        for pipe in _pipes(process):
            pipe.close()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:  # never: both were asked for
        raise FailedError("the load generator has no pipes")
    return process.stdin, process.stdout
