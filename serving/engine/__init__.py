"""What computes: the seam. Behind it, `saved_model` is the only module that knows TensorFlow."""

from __future__ import annotations

import functools
import importlib
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from protocol.codes import Code
from serving.core.errors import ServingError, invalid_argument
from serving.core.servable import Servable


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a graph, and which one of a SavedModel's. Zero threads: one per core."""

    intra_op_threads: int = 0
    inter_op_threads: int = 0
    is_bfloat16: bool = False
    tags: frozenset[str] = frozenset({"serve"})


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
def import_engine(name: str = "saved_model") -> Engine:
    """The engine in the module of that name here, imported now: TensorFlow takes seconds.

    Raises:
        ServingError: FAILED_PRECONDITION where a package that it needs is not installed.
    """
    try:
        module = importlib.import_module(f"{__name__}.{name}")
    except ImportError as error:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f"the engine {name} cannot be imported: {error}; "
            "pip install 'sightserve[serving]' installs what it needs",
        ) from error
    engine: Engine = module.create_engine()
    return engine
