"""Batch queues without TensorFlow: when a batch runs, with whom, and who is refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.engine import BatchingParameters
from serving.engine.queues import BatchQueues
from tests.support.processes import wait_until

LONG = 60_000_000


class Bench:
    """A queue whose batches are recorded, and may be held back."""

    def __init__(self, **parameters):
        self.queues = BatchQueues(BatchingParameters(num_batch_threads=1, **parameters))
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()
        self.failure = None
        self.queue = self.queues.add(self._process)
        self.pool = ThreadPoolExecutor(8)

    def _process(self, tickets):
        self.batches.append(tickets[:, 0].tolist())
        assert self.gate.wait(10)
        if self.failure:
            raise self.failure

    def send(self, number, rows=1, timeout_seconds=None):
        """Wait in another thread; the future."""
        tickets = np.stack([np.full(rows, number), np.arange(rows)], axis=1)
        return self.pool.submit(self.queue.wait, tickets, timeout_seconds)

    def waiting(self):
        return sum(batch.size for batch in self.queue.batches)

    def hold(self):
        """Keep the thread busy with request 0."""
        self.gate.clear()
        held = self.send(0)
        wait_until(lambda: self.batches, seconds=10)
        return held


@pytest.fixture
def bench():
    made = []

    def make(**parameters):
        made.append(Bench(**parameters))
        return made[-1]

    yield make
    for each in made:
        each.gate.set()
        each.pool.shutdown()
        each.queues.close()


def test_what_waits_runs_together_once_a_thread_is_free(bench):
    it = bench(max_batch_size=4)
    held = it.hold()
    others = [it.send(1), it.send(2, rows=2)]
    wait_until(lambda: it.waiting() == 3, seconds=10)
    it.gate.set()
    for future in (held, *others):
        future.result(10)
    assert sorted(it.batches[1]) == [1, 2, 2]


def test_a_full_batch_does_not_wait_for_its_time(bench):
    it = bench(max_batch_size=2, batch_timeout_micros=LONG)
    for future in [it.send(1), it.send(2)]:
        future.result(10)
    assert sorted(it.batches[0]) == [1, 2]


def test_an_open_batch_waits_for_its_time(bench):
    it = bench(max_batch_size=2, batch_timeout_micros=LONG)
    with pytest.raises(ServingError, match="Timed out waiting for notification") as caught:
        it.send(1, timeout_seconds=0.05).result(10)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert it.batches == []


def test_a_request_that_does_not_fit_starts_another_batch(bench):
    it = bench(max_batch_size=4, batch_timeout_micros=LONG)
    futures = [it.send(1, rows=3)]
    wait_until(lambda: it.waiting() == 3, seconds=10)
    futures.append(it.send(2, rows=4))
    for future in futures:
        future.result(10)
    assert it.batches == [[1, 1, 1], [2, 2, 2, 2]]


def test_a_batch_is_filled_up_to_an_allowed_size_with_its_last_ticket(bench):
    it = bench(max_batch_size=8, allowed_batch_sizes=(4, 8))
    it.send(7, rows=3).result(10)
    assert it.batches == [[7, 7, 7, 7]]


def test_a_large_request_is_split(bench):
    it = bench(max_batch_size=10, allowed_batch_sizes=(2, 4), enable_large_batch_splitting=True)
    it.send(1, rows=9).result(10)
    assert [len(batch) for batch in it.batches] == [4, 4, 2]


def test_what_does_not_fit_into_the_queue_is_refused_whole(bench):
    it = bench(max_batch_size=1, max_enqueued_batches=1)
    it.hold()
    waiting = it.send(1)
    wait_until(lambda: it.waiting() == 1, seconds=10)
    with pytest.raises(ServingError, match="to which this task was submitted is full") as caught:
        it.send(2).result(10)
    assert caught.value.code is Code.UNAVAILABLE
    it.gate.set()
    waiting.result(10)


def test_more_rows_than_a_batch_takes_are_refused(bench):
    with pytest.raises(ServingError, match="Task size 3 is larger than maximum input batch size 2"):
        bench(max_batch_size=2).send(1, rows=3).result(10)


def test_a_failure_that_nobody_foresaw_reaches_its_requests_and_the_thread_lives(bench):
    it = bench(max_batch_size=1)
    it.failure = RuntimeError("out of memory")
    with pytest.raises(ServingError, match="out of memory") as caught:
        it.send(1).result(10)
    assert caught.value.code is Code.INTERNAL
    it.failure = None
    it.send(2).result(10)


def test_parameters_that_contradict_each_other_are_refused():
    with pytest.raises(ServingError, match="must match max_batch_size"):
        BatchQueues(BatchingParameters(max_batch_size=8, allowed_batch_sizes=(2, 4)))
