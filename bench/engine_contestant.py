"""One engine with one graph, in a process that holds nothing else: it answers when asked.

    python -m bench.engine_contestant KIND GRAPH INPUT OUTPUT DESCRIPTOR

Its standard library, NumPy and its engine are all that it imports: resident memory is one of the
figures. It is asked over a connection by descriptor; see `Contestant`, the other end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]
Answer = Callable[[Pixels], Probabilities]

TENSORFLOW: Final = "tensorflow"
TENSORFLOW_BF16: Final = "tensorflow_bf16"
OPENVINO_F32: Final = "openvino_f32"
OPENVINO_BF16: Final = "openvino_bf16"

_ROOT: Final = Path(__file__).resolve().parents[1]
_RESIDENT_PAGES: Final = 1  # the place in /proc/self/statm


class ContestantError(Exception):
    """It has failed; the message is its engine's."""


class Contestant:
    """A contestant's process, seen from outside; a context manager."""

    def __init__(self, kind: str, graph: Path, input_name: str, output_name: str) -> None:
        self.kind = kind
        self._connection, theirs = Pipe()
        words = [kind, str(graph), input_name, output_name, str(theirs.fileno())]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, *words],
            cwd=_ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of `_Engine` there.

        Raises:
            ContestantError: it failed, or its process has ended.
        """
        try:
            self._connection.send((method, arguments))
            is_failure, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            code = self._process.wait()
            raise ContestantError(f"{self.kind}: its process ended with {code}") from error
        if is_failure:
            raise ContestantError(f"{self.kind}: {answer}")
        return answer


class _Engine:
    """What a contestant does when it is asked."""

    def __init__(self, load: Callable[[], tuple[Answer, float]]) -> None:
        self._load = load
        self._answer: Answer | None = None

    def load(self, pixels: Pixels) -> dict[str, float]:
        """Seconds until the graph is ready, and until these pixels have been answered, too."""
        started = time.perf_counter()
        self._answer, compile_seconds = self._load()
        self._answer(pixels)
        return {
            "compile_seconds": round(compile_seconds, 3),
            "load_seconds": round(time.perf_counter() - started, 3),
        }

    def answer(self, pixels: Pixels, batch_size: int) -> Probabilities:
        """Probabilities [N,C] of pixels [N,H,W,3], asked in batches of one size."""
        assert self._answer is not None, "load first"  # noqa: S101 - a slip of ours
        batches = range(0, len(pixels), batch_size)
        return np.concatenate([self._answer(pixels[i : i + batch_size]) for i in batches])

    def time(self, pixels: Pixels, seconds: float) -> dict[str, float]:
        """Ask for one batch over and over for so many seconds, once at least."""
        assert self._answer is not None, "load first"  # noqa: S101 - as above
        count = 0
        started, cpu_started = time.perf_counter(), time.process_time()
        while count == 0 or time.perf_counter() - started < seconds:
            self._answer(pixels)
            count += len(pixels)
        passed, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        return {"images_per_second": count / passed, "cpu_seconds_per_image": cpu / count}

    def memory_bytes(self) -> int:
        """Resident now."""
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[_RESIDENT_PAGES]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _tensorflow(graph: Path, input_name: str, output_name: str) -> tuple[Answer, float]:
    started = time.perf_counter()
    import tensorflow as tf  # noqa: PLC0415 - only in the processes that need it

    definition = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    with tf.Graph().as_default() as imported:
        tf.graph_util.import_graph_def(definition, name="")
    del definition  # as large as the weights
    session = tf.compat.v1.Session(graph=imported)

    def answer(pixels: Pixels) -> Probabilities:
        return np.asarray(session.run(output_name, {input_name: pixels}))

    return answer, time.perf_counter() - started


def _openvino(graph: Path, precision: str) -> tuple[Answer, float]:
    import openvino as ov  # noqa: PLC0415 - as above

    options = {  # the model server's on so few cores
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    started = time.perf_counter()
    compiled = ov.Core().compile_model(graph, "CPU", options)
    seconds = time.perf_counter() - started
    request = compiled.create_infer_request()

    def answer(pixels: Pixels) -> Probabilities:
        return np.array(request.infer({0: pixels})[0])

    return answer, seconds


def main() -> None:
    """Answer until the other end closes."""
    kind, graph, input_name, output_name, descriptor = sys.argv[1:]
    if kind.startswith(TENSORFLOW):
        engine = _Engine(lambda: _tensorflow(Path(graph), input_name, output_name))
    else:
        precision = "bf16" if kind == OPENVINO_BF16 else "f32"
        engine = _Engine(lambda: _openvino(Path(graph), precision))
    connection = Connection(int(descriptor))
    while True:
        try:
            method, arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            connection.send((False, getattr(engine, method)(*arguments)))
        except Exception as error:  # noqa: BLE001 - the other end decides what it means
            connection.send((True, f"{error}"))


if __name__ == "__main__":
    main()
