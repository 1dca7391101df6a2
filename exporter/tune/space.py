"""Which settings are worth trying on a machine: pure, and small enough to be tried in minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from exporter.tune.configuration import Configuration, Engine, ModelServerSettings

MAX_BATCH_SIZE: Final = 64
MAX_IN_FLIGHT: Final = 64
_SERVER_BATCH: Final = 64
"""Not below a warmup record's batch or a gateway's: the server refuses what is larger."""
_SERVER_BATCH_CALLS: Final = (8, 16)
"""Calls of one image at a time that the server may put together."""
_MANY_CORES: Final = 4


def servers(proofs: Iterable[tuple[Engine, str]], cores: int) -> list[ModelServerSettings]:
    """Ways to start the model server: each engine and precision with a few thread settings.

    One photo for each core, all cores for one photo, and between them; what the engine chooses by
    itself is the first of TensorFlow's.
    """
    return [
        ModelServerSettings(engine, precision, parallel, threads)
        for engine, precision in proofs
        for parallel, threads in _threads(engine, cores)
    ]


def _threads(engine: Engine, cores: int) -> Iterator[tuple[int, int]]:
    counts = sorted({1, cores, *([cores // 2] if cores >= _MANY_CORES else [])}, reverse=True)
    if engine == "openvino":
        yield from ((streams, cores) for streams in counts)
        return
    yield (0, 0)
    if cores > 1:
        yield from ((parallel, cores // parallel) for parallel in counts)


def batched(server: ModelServerSettings) -> ModelServerSettings:
    """The same with the model server's own batching."""
    return ModelServerSettings(
        server.engine, server.precision, server.parallel, server.threads, _SERVER_BATCH
    )


def first_ways(server: ModelServerSettings, cores: int) -> list[Configuration]:
    """How a gateway may ask it: single images, small batches, large ones."""
    if server.server_batch_size:
        ways = [(1, calls) for calls in _SERVER_BATCH_CALLS]
    else:
        ways = [(1, cores), (4, cores), (16, max(2, cores // 2))]
    return _configurations(server, ways)


def ways_around(found: Configuration) -> list[Configuration]:
    """A way and its neighbours: half and twice the batch, fewer and more calls in flight."""
    size, calls = found.batch_size, found.in_flight
    ways = [
        (size, calls),
        (size * 2, calls),
        (size // 2, calls),
        (size, calls * 2),
        (size, calls // 2),
    ]
    return _configurations(found.server, ways)


def _configurations(
    server: ModelServerSettings, ways: Iterable[tuple[int, int]]
) -> list[Configuration]:
    """Each once, within what the gateway takes."""
    return [
        Configuration(server, size, calls)
        for size, calls in dict.fromkeys(ways)
        if 1 <= size <= MAX_BATCH_SIZE and 1 <= calls <= MAX_IN_FLIGHT
    ]
