"""How many images a second one engine scores: a process for `auto`, which asks both.

python -m serving.engine.measure ENGINE VERSION OPTIONS      prints {"images_per_second": …}
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from protocol.tensors import Array
from serving.core.errors import ServingError
from serving.core.servable import Servable
from serving.engine import EngineOptions, OpenVinoOptions, import_engine

_SIGNATURE: Final = "serving_default"
_BATCH_SIZE: Final = 8
_CALLERS: Final = 2
"""As many as a gateway has in flight."""
_SECONDS: Final = 1.5
_LEAST_RUNS: Final = 3
_SEED: Final = 20


def images_per_second(servable: Servable) -> float:
    """Of batches of eight from two callers, on noise."""
    signature = servable.signatures[_SIGNATURE]
    feeds = {tensor.name: _noise(tensor.shape) for tensor in signature.inputs.values()}
    fetches = [tensor.name for tensor in signature.outputs.values()]
    with ThreadPoolExecutor(_CALLERS) as pool:
        for _ in range(2):  # the first compiles or optimises
            list(pool.map(lambda _: servable.run(feeds, fetches), range(_CALLERS)))
        started = time.perf_counter()
        runs = list(pool.map(lambda _: _run(servable, feeds, fetches, started), range(_CALLERS)))
        return _BATCH_SIZE * sum(runs) / (time.perf_counter() - started)


def main() -> int:
    """Measure what the arguments say."""
    engine, version, described = sys.argv[1:]
    try:
        servable = import_engine(engine).load(version, _options(json.loads(described)))
        rate = images_per_second(servable)
    except ServingError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - a program: its parent reads it
        return 1
    print(json.dumps({"images_per_second": rate}), flush=True)  # noqa: T201 - as above
    os._exit(0)  # nothing is left to do, and freeing a graph takes its time


def _run(servable: Servable, feeds: Mapping[str, Array], fetches: list[str], started: float) -> int:
    count = 0
    while count < _LEAST_RUNS or time.perf_counter() < started + _SECONDS:
        servable.run(feeds, fetches)
        count += 1
    return count


def _noise(shape: tuple[int, ...] | None) -> Array:
    _, *rest = shape or (1,)
    random = np.random.default_rng(_SEED)
    return random.integers(0, 256, (_BATCH_SIZE, *rest), np.uint8)


def _options(described: dict[str, Any]) -> EngineOptions:
    openvino = OpenVinoOptions(**described.pop("openvino"))
    tags = frozenset(described.pop("tags"))
    return EngineOptions(**described, tags=tags, openvino=openvino)


if __name__ == "__main__":
    sys.exit(main())
