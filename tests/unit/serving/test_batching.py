"""Joining rows and splitting results, with a queue whose batches the test chooses."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from protocol.codes import Code
from protocol.models import SignatureSpec, TensorSpec
from serving.core.errors import ServingError
from serving.engine import BatchingParameters
from serving.inference.batching import BatchedServable
from tests.support.processes import wait_until

SIGNATURE = SignatureSpec(
    "predict",
    {"x": TensorSpec("x:0", "DT_FLOAT", (-1, -1))},
    {"y": TensorSpec("y:0", "DT_FLOAT", (-1, -1))},
    {},
    b"",
)


class FakeQueues:
    """Collects tickets until the test has `run` called on them."""

    def __init__(self):
        self.tickets = []
        self.done = threading.Event()

    def add(self, process):
        self.process = process
        return self

    def wait(self, tickets, timeout_seconds):
        self.tickets.append(tickets)
        if not self.done.wait(10 if timeout_seconds is None else timeout_seconds):
            raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification")

    def run(self, *batches):
        for batch in batches:
            self.process(np.array(batch, np.int64))
        self.done.set()

    def close(self):
        pass


class Doubling:
    """y = 2x, and a record of the arrays it ran on."""

    def __init__(self):
        self.signatures = {"serving_default": SIGNATURE}
        self.ran = []

    def run(self, feeds, fetches, **_):
        self.ran.append(feeds["x:0"])
        if np.isnan(feeds["x:0"]).any():
            raise ServingError(Code.INVALID_ARGUMENT, "not a number")
        return [feeds["x:0"] * 2 for _ in fetches]

    def close(self):
        pass


class Bench:
    """A batched servable, its parts, and a pool to call it from."""

    def __init__(self, pool, **parameters):
        self.queues = FakeQueues()
        self.engine = Doubling()
        self.servable = BatchedServable(
            self.engine,
            self.queues,
            BatchingParameters(**parameters),
            threading.BoundedSemaphore(1),
        )
        self._pool = pool

    def send(self, *rows, dtype=np.float32, timeout_seconds=None):
        """Start a request; returns its future once its tickets are queued."""
        waiting = len(self.queues.tickets)
        future = self._pool.submit(
            self.servable.run,
            {"x:0": np.array(rows, dtype)},
            ["y:0"],
            timeout_seconds=timeout_seconds,
        )
        wait_until(lambda: future.done() or len(self.queues.tickets) > waiting, seconds=10)
        return future


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def bench(pool):
    return Bench(pool)


def tickets_of(*futures_tickets):
    return np.concatenate(futures_tickets).tolist()


def test_rows_of_two_requests_run_as_one_batch(bench):
    first, second = bench.send([1, 1]), bench.send([2, 2], [3, 3])
    bench.queues.run(tickets_of(*bench.queues.tickets))
    assert [array.tolist() for array in bench.engine.ran] == [[[1, 1], [2, 2], [3, 3]]]
    assert first.result()[0].tolist() == [[2, 2]]
    assert second.result()[0].tolist() == [[4, 4], [6, 6]]


def test_filling_rows_are_run_and_dropped(bench):
    first, second = bench.send([1, 1]), bench.send([2, 2])
    tickets = tickets_of(*bench.queues.tickets)
    bench.queues.run([*tickets, tickets[-1], tickets[-1]])
    assert bench.engine.ran[0].tolist() == [[1, 1], [2, 2], [2, 2], [2, 2]]
    assert first.result()[0].tolist() == [[2, 2]]
    assert second.result()[0].tolist() == [[4, 4]]


def test_a_request_split_over_batches_is_put_together(bench):
    future = bench.send([1, 1], [2, 2], [3, 3])
    tickets = tickets_of(*bench.queues.tickets)
    bench.queues.run([tickets[2], tickets[2]], tickets[:2])
    assert future.result()[0].tolist() == [[2, 2], [4, 4], [6, 6]]


def test_a_request_that_gave_up_is_not_run(bench):
    gone = bench.send([1, 1], timeout_seconds=0.05)
    assert gone.exception(10).code is Code.DEADLINE_EXCEEDED
    stays = bench.send([2, 2])
    bench.queues.run(tickets_of(*bench.queues.tickets))
    assert bench.engine.ran[0].tolist() == [[2, 2], [2, 2]]
    assert stays.result()[0].tolist() == [[4, 4]]


def test_an_error_of_the_batch_is_everybodys(bench):
    futures = [bench.send([1, 1]), bench.send([np.nan, 1])]
    bench.queues.run(tickets_of(*bench.queues.tickets))
    assert [str(future.exception()) for future in futures] == ["INVALID_ARGUMENT: not a number"] * 2


def test_other_widths_fail_the_batch(bench):
    futures = [bench.send([1, 1]), bench.send([1, 1, 1])]
    bench.queues.run(tickets_of(*bench.queues.tickets))
    for future in futures:
        assert future.exception().code is Code.FAILED_PRECONDITION
        assert "padding is turned off" in future.exception().message


def test_other_widths_are_padded_with_the_first_element_when_asked_for(pool):
    bench = Bench(pool, pad_variable_length_inputs=True)
    bench.send([1, 5])
    bench.send([7, 1, 1])
    bench.queues.run(tickets_of(*bench.queues.tickets))
    assert bench.engine.ran[0].tolist() == [[1, 5, 1], [7, 1, 1]]


def test_empty_batches_and_other_types_run_directly(bench):
    assert bench.servable.run({"x:0": np.zeros((0, 2), np.float32)}, ["y:0"])[0].shape == (0, 2)
    assert bench.servable.run({"x:0": np.ones((1, 2))}, ["y:0"])[0].tolist() == [[2, 2]]
    assert not bench.queues.tickets


def test_a_part_of_the_outputs_runs_directly(bench):
    assert bench.servable.run({"x:0": np.ones((1, 2), np.float32)}, ["z:0", "y:0"])
    assert not bench.queues.tickets


def test_scalars_are_refused(bench):
    with pytest.raises(ServingError, match="must have at least one dimension"):
        bench.servable.run({"x:0": np.float32(1)}, ["y:0"])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((4, 9), ("Last entry in allowed_batch_sizes must match max_batch_size; last entry was 9; "
                 "expected 8")),
        ((8, 4), "allowed_batch_sizes entries must be monotonically increasing"),
        ((4, 4, 8), "allowed_batch_sizes entries must be monotonically increasing"),
    ],
)  # fmt: skip
def test_allowed_batch_sizes_rise_to_the_maximum(sizes, message):
    with pytest.raises(ServingError) as caught:
        BatchingParameters(max_batch_size=8, allowed_batch_sizes=sizes).check()
    assert caught.value.message == message
