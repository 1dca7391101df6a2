"""A compiled model and the requests that run it."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import openvino as ov

from protocol.codes import Code
from protocol.tensors import Array
from serving.core.errors import ServingError
from serving.engine import OpenVinoOptions, machine
from serving.engine.openvino import compiled

_HINTS: Final = {"f32": "f32", "bf16": "bf16", "int8": "f32"}
"""What the layers that are not quantized compute in."""
_MILLIS: Final = 1000
_TIMED_OUT: Final = "Timed out waiting for notification"


class Network:
    """A model compiled for this machine's processor, for batches of any size."""

    def __init__(self, model: Any, precision: str, options: OpenVinoOptions) -> None:
        """Compile.

        Args:
            model: an `openvino.Model`, or the path of an IR.
            precision: one of `serving.engine.PRECISIONS`.
            options: threads, streams, cache.

        Raises:
            ServingError: UNIMPLEMENTED for what OpenVINO cannot read or compile.
        """
        self.precision = precision
        self.threads = options.threads or machine.cores()
        self.streams = min(options.streams or machine.streams(self.threads), self.threads)
        core = ov.Core()
        kept = compiled.folder(options.cache_dir)
        if kept:
            core.set_property({"CACHE_DIR": str(kept)})
        config = {
            # Without it OpenVINO takes bfloat16 by itself wherever it is fast, proven or not.
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": self.streams,
            # A gateway runs beside us, and perhaps another of us: both would pin to core 0.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            self._compiled = _in_a_thread(lambda: core.compile_model(model, "CPU", config))
        except Exception as error:  # OpenVINO's own are no RuntimeErrors
            raise ServingError(
                Code.UNIMPLEMENTED, f"the engine openvino cannot compile it: {first_line(error)}"
            ) from error
        if kept:
            compiled.forget_oldest(kept)
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.streams):
            self._requests.put(self._compiled.create_infer_request())

    def run(self, inputs: Sequence[Array], timeout_seconds: float | None = None) -> list[Array]:
        """Run on arrays in the model's order; copies of all its outputs.

        Raises:
            ServingError: DEADLINE_EXCEEDED; INTERNAL with OpenVINO's words.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        request = self._take(timeout_seconds)
        try:
            for index, array in enumerate(inputs):
                # Copied: what a request has sent is read-only, which OpenVINO does not share.
                tensor = request.get_input_tensor(index)
                tensor.shape = array.shape
                np.copyto(tensor.data, array)
            request.start_async()
            _wait(request, deadline)
            count = len(self._compiled.outputs)
            return [np.array(request.get_output_tensor(index).data) for index in range(count)]
        except ServingError:
            raise
        except Exception as error:  # OpenVINO's own are no RuntimeErrors
            raise ServingError(Code.INTERNAL, f"OpenVINO: {first_line(error)}") from error
        finally:
            self._requests.put(request)

    def close(self) -> None:
        """Free the requests and the compiled model. No run is under way or follows."""
        _in_a_thread(self._free)

    def _free(self) -> None:
        while not self._requests.empty():
            self._requests.get()
        del self._compiled

    def _take(self, timeout_seconds: float | None) -> Any:
        try:
            return self._requests.get(timeout=timeout_seconds)
        except queue.Empty:
            raise _timed_out() from None


def _in_a_thread(call: Callable[[], Any]) -> Any:
    """Call it in a thread of its own.

    OpenVINO gives the thread that compiles another stack for its signal handlers, and the thread
    that frees what is compiled the one from before: where models come and go in any order, that
    may be memory of a model that is gone, and the next signal ends the process.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def first_line(error: BaseException) -> str:
    """What OpenVINO means: its messages begin with places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (told or lines or [type(error).__name__])[0]


def _wait(request: Any, deadline: float | None) -> None:
    if deadline is None:
        request.wait()
        return
    left = max(1, round((deadline - time.monotonic()) * _MILLIS))
    if request.wait_for(left):
        return
    request.cancel()
    with contextlib.suppress(Exception):  # which says that it was cancelled
        request.wait()
    raise _timed_out()


def _timed_out() -> ServingError:
    return ServingError(Code.DEADLINE_EXCEEDED, _TIMED_OUT)
