"""Requests of one signature run together as batches.

When a batch is formed, of whom, and who is refused is decided by the engine's queues (TensorFlow's
own batch function op), one per signature. What passes through them are only tickets (request, row):
rows are joined and results split here, so that every request gets the error that is its own, word
for word.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from protocol.codes import Code
from protocol.models import SignatureSpec
from protocol.tensors import Array, dtype_name
from serving.core.errors import ServingError, invalid_argument
from serving.core.servable import Servable
from serving.engine import BatchingParameters, Queue, QueueSet

_QueueKey = tuple[frozenset[str], frozenset[str]]


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
