"""Requests of one signature run together as batches.

When a batch is formed, of whom, and who is refused is decided by TensorFlow's own batch function
op, one queue per signature. What passes through it are only tickets (request, row): rows are joined
and results split here, so that every request gets the error that is its own, word for word.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from serving import messages
from serving.core.errors import Code, ServingError, invalid_argument
from serving.tensors import Array, dtype_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serving.core.servable import Servable, SignatureSpec

_QueueKey = tuple[frozenset[str], frozenset[str]]


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
    """TensorFlow's batch function op: `wait` returns once all tickets went through `process`."""

    def wait(self, tickets: Array, timeout_seconds: float | None) -> None:
        """Queue int64 tickets [rows, 2]; ServingError when refused or out of time."""
        ...


class QueueSet(Protocol):
    """The queues of one servable."""

    def add(self, process: Callable[[Array], None]) -> Queue:
        """A queue that hands its batches of tickets [N, 2] to `process`."""
        ...

    def close(self) -> None:
        """Free the queues. Nobody waits in them."""
        ...


def read_parameters(path: str) -> BatchingParameters:
    """The parameters in a protobuf text file ("": the defaults).

    Raises:
        ServingError: NOT_FOUND or INVALID_ARGUMENT.
    """
    if not path:
        return BatchingParameters()
    message = messages.batching_parameters()
    messages.read_text_file(path, message)
    chosen: dict[str, Any] = {
        name: getattr(message, name).value
        for name in (
            "max_batch_size",
            "batch_timeout_micros",
            "max_enqueued_batches",
            "num_batch_threads",
            "enable_large_batch_splitting",
        )
        if message.HasField(name)
    }
    for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
        if chosen.get(name, 1) < 1:
            raise invalid_argument(f"{name} must be positive; was {chosen[name]}")
    return BatchingParameters(
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
        **chosen,
    )


@dataclass(slots=True)
class _Request:
    """One waiting request; its results come in parts when a large batch is split."""

    feeds: Mapping[str, Array]
    parts: list[tuple[int, dict[str, Array]]] = field(default_factory=list)
    error: ServingError | None = None
    is_abandoned: bool = False


@dataclass(frozen=True, slots=True)
class _Slice:
    """Rows of one request within a batch."""

    request: _Request
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


class BatchedServable:
    """A servable whose whole signatures run in batches; anything else runs directly."""

    def __init__(
        self,
        servable: Servable,
        queues: QueueSet,
        parameters: BatchingParameters,
        running: threading.BoundedSemaphore,
    ) -> None:
        self._servable = servable
        self._queues = queues
        self._is_padding = parameters.pad_variable_length_inputs
        self._running = running
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[int, _Request] = {}
        self._by_tensors: dict[_QueueKey, Queue] = {}
        self._dtypes: dict[str, str] = {}
        for signature in servable.signatures.values():
            self._add_queue(signature)

    @property
    def signatures(self) -> Mapping[str, SignatureSpec]:
        """The signatures of the model, by name."""
        return self._servable.signatures

    def run(
        self,
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        *,
        timeout_seconds: float | None = None,
    ) -> list[Array]:
        """Run alone or in a batch, whichever the tensors allow."""
        queue = self._by_tensors.get((frozenset(feeds), frozenset(fetches)))
        if queue is None or not self._has_right_types(feeds):
            return self._servable.run(feeds, fetches, timeout_seconds=timeout_seconds)
        rows = _row_count(feeds)
        if rows == 0:
            return self._servable.run(feeds, fetches, timeout_seconds=timeout_seconds)
        outputs = self._run_queued(queue, _Request(feeds), rows, timeout_seconds)
        return [outputs[name] for name in fetches]

    def close(self) -> None:
        """Free the queues and the version."""
        self._queues.close()
        self._servable.close()

    def _add_queue(self, signature: SignatureSpec) -> None:
        feeds = frozenset(tensor.name for tensor in signature.inputs.values())
        fetches = frozenset(tensor.name for tensor in signature.outputs.values())
        if not feeds or not fetches or (feeds, fetches) in self._by_tensors:
            return
        self._dtypes |= {tensor.name: tensor.dtype for tensor in signature.inputs.values()}
        names = sorted(fetches)

        def process(tickets: Array) -> None:
            self._process(tickets, names)

        self._by_tensors[feeds, fetches] = self._queues.add(process)

    def _has_right_types(self, feeds: Mapping[str, Array]) -> bool:
        """One array of another type would change that of its whole batch."""
        return all(dtype_name(array) == self._dtypes[name] for name, array in feeds.items())

    def _run_queued(
        self, queue: Queue, request: _Request, rows: int, timeout_seconds: float | None
    ) -> dict[str, Array]:
        number = next(self._numbers)
        tickets = np.stack([np.full(rows, number, np.int64), np.arange(rows)], axis=1)
        with self._lock:
            self._waiting[number] = request
        try:
            queue.wait(tickets, timeout_seconds)
        finally:
            request.is_abandoned = True
            with self._lock:
                del self._waiting[number]
        if request.error:
            raise ServingError(request.error.code, request.error.message)
        parts = [outputs for _, outputs in sorted(request.parts, key=lambda part: part[0])]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _process(self, tickets: Array, fetches: Sequence[str]) -> None:
        """Run one batch. Runs on the op's threads; at most num_batch_threads over all models."""
        slices, padding = self._slices(tickets)
        if not slices:
            return
        try:
            with self._running:
                feeds = _joined(slices, padding, is_padding=self._is_padding)
                results = self._servable.run(feeds, fetches)
            _hand_out(slices, padding, dict(zip(fetches, results, strict=True)))
        except ServingError as error:
            for each in slices:
                each.request.error = error

    def _slices(self, tickets: Array) -> tuple[list[_Slice], int]:
        """Whose rows are in the batch, in order, and how many rows only fill it up.

        The op fills up with copies of a ticket, so a ticket seen before is filling.
        """
        follows = np.zeros(len(tickets), np.bool_)
        follows[1:] = (np.diff(tickets, axis=0) == (0, 1)).all(axis=1)
        starts = np.flatnonzero(~follows).tolist()
        slices: list[_Slice] = []
        seen: set[int] = set()
        padding = 0
        with self._lock:
            for start, stop in itertools.pairwise([*starts, len(tickets)]):
                number, row = tickets[start].tolist()
                request = self._waiting.get(number)
                if number in seen:
                    padding += stop - start
                elif request is not None and not request.is_abandoned:
                    slices.append(_Slice(request, row, row + stop - start))
                else:
                    padding += stop - start  # its client is gone; the batch keeps its size
                seen.add(number)
        return slices, padding


def _row_count(feeds: Mapping[str, Array]) -> int:
    if any(array.ndim == 0 for array in feeds.values()):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    sizes: set[int] = {array.shape[0] for array in feeds.values()}
    if len(sizes) != 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()


def _joined(slices: Sequence[_Slice], padding: int, *, is_padding: bool) -> dict[str, Array]:
    """One array per input, the slices' rows below each other, then `padding` copies of a row."""
    joined = {}
    for name in slices[0].request.feeds:
        arrays = [each.request.feeds[name][each.start : each.stop] for each in slices]
        if is_padding:
            arrays = _padded(arrays)
        elif any(array.shape[1:] != arrays[0].shape[1:] for array in arrays):
            raise ServingError(
                Code.FAILED_PRECONDITION,
                f"Tensors with name '{name}' from different tasks have different shapes and "
                "padding is turned off.Set pad_variable_length_inputs to true, or ensure that "
                "all tensors with the same namehave equal dimensions starting with the first dim.",
            )
        if padding:
            arrays.append(np.repeat(arrays[-1][:1], padding, axis=0))
        joined[name] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return joined


def _padded(arrays: Sequence[Array]) -> list[Array]:
    """All arrays as large as the largest in every dimension but the first.

    Raises:
        ServingError: INVALID_ARGUMENT for arrays of different ranks.
    """
    if len({array.ndim for array in arrays}) != 1:
        raise invalid_argument("Batched tensors have different ranks")
    largest = np.max([array.shape[1:] for array in arrays], axis=0).astype(int).tolist()
    return [_grown(array, (array.shape[0], *largest)) for array in arrays]


def _grown(array: Array, shape: tuple[int, ...]) -> Array:
    """`array` in the corner of a larger one that repeats its first element."""
    if array.shape == shape or not array.size:
        return array
    grown = np.full(shape, array.flat[0], array.dtype)
    grown[tuple(slice(size) for size in array.shape)] = array
    return grown


def _hand_out(slices: Sequence[_Slice], padding: int, results: Mapping[str, Array]) -> None:
    total = sum(each.size for each in slices) + padding
    for array in results.values():
        if array.ndim == 0:
            raise ServingError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
        if array.shape[0] != total:
            raise ServingError(
                Code.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                "dimension sizes of the input tensors",
            )
    position = 0
    for each in slices:
        end = position + each.size
        part = {name: array[position:end] for name, array in results.items()}
        each.request.parts.append((each.start, part))
        position = end
