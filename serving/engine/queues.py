"""Batch queues without TensorFlow, by the rules of its batch function op.

One queue per signature, `num_batch_threads` threads for all queues of a servable. A batch takes
requests until it is full, and runs when a thread is free and it is full or its time is up: until a
thread takes it, the last batch of a queue goes on filling.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from protocol.codes import Code
from protocol.tensors import Array
from serving.core.errors import ServingError, invalid_argument
from serving.engine import BatchingParameters

_MICROS = 1_000_000

Process = Callable[[Array], None]


@dataclass(slots=True)
class _Waiter:
    """One request: how many of its batches are still to come."""

    left: int
    is_done: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None


@dataclass(slots=True)
class _Batch:
    due: float
    parts: list[tuple[Array, _Waiter]] = field(default_factory=list)
    size: int = 0
    is_closed: bool = False


class BatchQueues:
    """The queues of one servable, and the threads that run their batches."""

    def __init__(self, parameters: BatchingParameters) -> None:
        parameters.check()
        self.parameters = parameters
        self.changed = threading.Condition()
        self._queues: list[BatchQueue] = []
        self._is_closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"batch-{number}", daemon=True)
            for number in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, process: Process) -> BatchQueue:
        """A queue that hands its batches of tickets [N, 2] to `process`."""
        queue = BatchQueue(self, process)
        with self.changed:
            self._queues.append(queue)
        return queue

    def close(self) -> None:
        """End the threads. Nobody waits in the queues."""
        with self.changed:
            self._is_closing = True
            self.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            queue, batch = found
            queue.run(batch)

    def _next(self) -> tuple[BatchQueue, _Batch] | None:
        """Wait for a batch that may run; None at the end."""
        with self.changed:
            while not self._is_closing:
                heads = [(queue.batches[0], queue) for queue in self._queues if queue.batches]
                now = time.monotonic()
                ready = [(batch, queue) for batch, queue in heads if _may_run(batch, now)]
                if ready:
                    batch, queue = min(ready, key=lambda head: head[0].due)
                    queue.batches.popleft()
                    return queue, batch
                due = min((batch.due for batch, _ in heads), default=None)
                self.changed.wait(None if due is None else due - now)
        return None


class BatchQueue:
    """One queue: its batches in order, of which the last may be open."""

    def __init__(self, owner: BatchQueues, process: Process) -> None:
        self.batches: deque[_Batch] = deque()
        self._owner = owner
        self._process = process
        parameters = owner.parameters
        sizes = parameters.allowed_batch_sizes
        self._sizes = sizes
        self._is_splitting = parameters.enable_large_batch_splitting
        self._most = sizes[-1] if self._is_splitting and sizes else parameters.max_batch_size

    def wait(self, tickets: Array, timeout_seconds: float | None) -> None:
        """Queue tickets and wait until their rows are through.

        Raises:
            ServingError: INVALID_ARGUMENT for too many rows, UNAVAILABLE when the queue is full,
                DEADLINE_EXCEEDED.
        """
        parameters = self._owner.parameters
        if len(tickets) > parameters.max_batch_size:
            raise invalid_argument(
                f"Task size {len(tickets)} is larger than maximum input batch size "
                f"{parameters.max_batch_size}"
            )
        with self._owner.changed:
            waiter = self._enqueue(tickets)
            self._owner.changed.notify()
        if not waiter.is_done.wait(timeout_seconds):
            raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification")
        if waiter.failure is not None:
            raise ServingError(Code.INTERNAL, str(waiter.failure)) from waiter.failure

    def run(self, batch: _Batch) -> None:
        """Run one batch, filled up to an allowed size, and wake who waits for it."""
        failure: BaseException | None = None
        try:
            self._process(self._filled(np.concatenate([part for part, _ in batch.parts])))
        except Exception as error:  # noqa: BLE001 - told to each request, as this thread must live
            failure = error
        with self._owner.changed:
            for _, waiter in batch.parts:
                waiter.left -= 1
                waiter.failure = waiter.failure or failure
                if not waiter.left:
                    waiter.is_done.set()

    def _enqueue(self, tickets: Array) -> _Waiter:
        """Put tickets into batches, all of them or none."""
        last = self.batches[-1] if self.batches else None
        room = self._most - last.size if last and not last.is_closed else 0
        first = min(room, len(tickets)) if self._is_splitting or len(tickets) <= room else 0
        rest = range(first, len(tickets), self._most)
        most_batches = self._owner.parameters.max_enqueued_batches
        if len(self.batches) + len(rest) > most_batches:
            raise ServingError(
                Code.UNAVAILABLE,
                "The batch scheduling queue to which this task was submitted is full; currently "
                f"{len(self.batches)} batches enqueued and max_enqueued_batches is {most_batches}",
            )
        waiter = _Waiter(len(rest) + bool(first))
        if last and first:
            self._fill(last, tickets[:first], waiter)
        for start in rest:
            if self.batches:
                self.batches[-1].is_closed = True
            due = time.monotonic() + self._owner.parameters.batch_timeout_micros / _MICROS
            self.batches.append(_Batch(due))
            self._fill(self.batches[-1], tickets[start : start + self._most], waiter)
        return waiter

    def _fill(self, batch: _Batch, tickets: Array, waiter: _Waiter) -> None:
        batch.parts.append((tickets, waiter))
        batch.size += len(tickets)
        batch.is_closed = batch.size >= self._most

    def _filled(self, tickets: Array) -> Array:
        """With copies of the last ticket up to the next allowed size."""
        size = next((size for size in self._sizes if size >= len(tickets)), len(tickets))
        return np.concatenate([tickets, np.repeat(tickets[-1:], size - len(tickets), axis=0)])


def _may_run(batch: _Batch, now: float) -> bool:
    return batch.is_closed or now >= batch.due
