"""What computes: the seam.

Behind it, `saved_model` is the only module that knows TensorFlow and `openvino` the only room that
knows OpenVINO. A server has one of them, or `auto`, which takes for each model the faster one.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from protocol.codes import Code
from serving.core.errors import ServingError, invalid_argument
from serving.core.servable import Servable

TENSORFLOW: Final = "tensorflow"
OPENVINO: Final = "openvino"
AUTO: Final = "auto"

_MODULES: Final = {TENSORFLOW: "saved_model", OPENVINO: "openvino", AUTO: "auto"}
_EXTRAS: Final = {TENSORFLOW: "serving", OPENVINO: "openvino", AUTO: "serving,openvino"}

ENGINES: Final = tuple(_MODULES)
PRECISIONS: Final = ("f32", "bf16", "int8")
"""That OpenVINO may compute in; `auto` takes the fastest proven one."""


@dataclass(frozen=True, slots=True)
class OpenVinoOptions:
    """How OpenVINO runs a version. Zero threads or streams: chosen from the machine."""

    precision: str = AUTO
    """auto or one of PRECISIONS."""
    streams: int = 0
    """Requests that run at a time; they share the threads."""
    threads: int = 0
    cache_dir: str = ""
    """Where compiled models and measured choices are kept; empty: nowhere."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a graph, and which one of a SavedModel's. Zero threads: one per core."""

    intra_op_threads: int = 0
    inter_op_threads: int = 0
    is_bfloat16: bool = False
    tags: frozenset[str] = frozenset({"serve"})
    openvino: OpenVinoOptions = field(default_factory=OpenVinoOptions)


@dataclass(frozen=True, slots=True)
class BatchingParameters:
    """When a batch is complete: `max_batch_size` rows, or `batch_timeout_micros` after its first.

    A batch is padded to the next of `allowed_batch_sizes`. Beyond `max_enqueued_batches` waiting
    ones, requests are refused; `num_batch_threads` batches run at a time.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False

    def check(self) -> None:
        """As TensorFlow Serving: allowed sizes rise and end with the maximum.

        Raises:
            ServingError: INVALID_ARGUMENT; the model does not load then.
        """
        sizes = self.allowed_batch_sizes
        if any(after <= before for before, after in itertools.pairwise(sizes)):
            raise invalid_argument("allowed_batch_sizes entries must be monotonically increasing")
        if sizes and sizes[-1] != self.max_batch_size and not self.enable_large_batch_splitting:
            raise invalid_argument(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{sizes[-1]}; expected {self.max_batch_size}"
            )


class Queue(Protocol):
    """One signature's requests: `wait` returns once all tickets went through `process`."""

    def wait(self, tickets: Any, timeout_seconds: float | None) -> None:
        """Queue an int64 array of tickets [rows, 2] and wait until all are through.

        Raises:
            ServingError: INVALID_ARGUMENT for too many rows, UNAVAILABLE when the queue is full,
                DEADLINE_EXCEEDED.
        """
        ...


class QueueSet(Protocol):
    """The queues of one servable."""

    def add(self, process: Callable[[Any], None]) -> Queue:
        """A queue that hands its batches of tickets [N, 2] to `process`."""
        ...

    def close(self) -> None:
        """Free the queues. Nobody waits in them."""
        ...


class Engine(Protocol):
    """Makes servables of directories, and the queues in which their requests form batches."""

    def load(self, path: str, options: EngineOptions) -> Servable:
        """Load the version in directory `path`; ServingError with the engine's own words."""
        ...

    def queue_set(self, parameters: BatchingParameters) -> QueueSet:
        """Queues for one servable; ServingError for parameters that contradict each other."""
        ...


@functools.cache
def import_engine(name: str = TENSORFLOW) -> Engine:
    """One of ENGINES, imported now: TensorFlow takes seconds.

    Raises:
        ServingError: FAILED_PRECONDITION where a package that it needs is not installed.
    """
    try:
        module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    except ImportError as error:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f"the engine {name} cannot be imported: {error}; "
            f"pip install 'sightserve[{_EXTRAS[name]}]' installs what it needs",
        ) from error
    engine: Engine = module.create_engine()
    return engine


def require_saved_model(path: str) -> None:
    """Refuse a directory without a SavedModel.

    Raises:
        ServingError: NOT_FOUND, in TensorFlow's words.
    """
    if not any(Path(path, name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise ServingError(
            Code.NOT_FOUND,
            "Specified file path does not appear to contain a SavedModel bundle (should have a "
            f"file called `saved_model.pb`)\nSpecified file path: {path}",
        )


def no_such_tags(tags: frozenset[str]) -> ServingError:
    """NOT_FOUND for a SavedModel without a graph of these tags, in TensorFlow's words."""
    return ServingError(
        Code.NOT_FOUND,
        f"Could not find meta graph def matching supplied tags: {{ {' '.join(sorted(tags))} }}.",
    )


def no_such_tensor(name: str) -> ServingError:
    """INVALID_ARGUMENT for a tensor that the graph does not have, in TensorFlow's words."""
    return invalid_argument(
        f"Tensor {name}, specified in either feed_devices or fetch_devices was not found in the "
        "Graph"
    )
