"""What a photo costs without any service: decoding, and the model at its best batch and threads.

A process that is told what to do line by line (`{"do": "decode", "seconds": 2}`), so that it takes
part in the rounds as the services do.

    python -m bench.race.floor tensorflow|openvino-f32|openvino-bf16|openvino-int8 FOLDER
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BATCHES = (1, 2, 4, 8, 16, 32)

Work = Callable[[], int]
"""Does a part of the work in a thread; how many pictures that was."""


def saturated(work: Work, seconds: float) -> dict[str, float]:
    """The work in as many threads as cores; CPU and wall time per picture in milliseconds."""
    with ThreadPoolExecutor(CORES) as pool:
        end = time.perf_counter() + seconds
        cpu, start = time.process_time(), time.perf_counter()

        def loop(_: int) -> int:
            done = 0
            while time.perf_counter() < end:
                done += work()
            return done

        count = sum(pool.map(loop, range(CORES)))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {"cpu_ms": 1000 * cpu / count, "core_ms": 1000 * wall * CORES / count, "n": count}


def decode_work(files: list[Path]) -> Work:
    """The gateway's decoding, file by file."""
    from contract.image_spec import ImageSpec  # noqa: PLC0415 - in this process only
    from contract.pixels import decode  # noqa: PLC0415 - as above

    contents = [file.read_bytes() for file in files]
    spec = ImageSpec(height=224, width=224)
    turn = itertools.cycle(contents)

    def work() -> int:
        decode(next(turn), spec)
        return 1

    return work


def tensorflow_model(version: Path) -> Callable[[int], Work]:
    """The frozen graph: every call on one thread, as many calls as cores."""
    import tensorflow as tf  # noqa: PLC0415 - not for the other engine

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(CORES)
    loaded = tf.saved_model.load(str(version))
    signature = loaded.signatures["serving_default"]

    def of(batch: int) -> Work:
        images = tf.constant(_images(batch))

        def work() -> int:
            loaded  # noqa: B018 - signatures do not keep their model alive
            signature(images=images)["probabilities"].numpy()
            return batch

        work()
        return work

    return of


def openvino_model(file: Path, precision: str) -> Callable[[int], Work]:
    """OpenVINO: a stream a core, a request a thread."""
    import openvino as ov  # noqa: PLC0415 - not for the other engine

    core = ov.Core()
    hint = {} if precision == "int8" else {"INFERENCE_PRECISION_HINT": precision}
    compiled = core.compile_model(
        core.read_model(file), "CPU",
        {"NUM_STREAMS": CORES, "INFERENCE_NUM_THREADS": CORES, **hint},
    )  # fmt: skip

    def of(batch: int) -> Work:
        images = _images(batch)
        requests = {}

        def work() -> int:
            import threading  # noqa: PLC0415 - short

            request = requests.setdefault(threading.get_ident(), None)
            if request is None:
                request = requests[threading.get_ident()] = compiled.create_infer_request()
            request.infer([images])
            return batch

        work()
        return work

    return of


def _images(batch: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (batch, 224, 224, 3), np.uint8)


def model_of(engine: str, version: Path) -> Callable[[int], Work]:
    """By the name on the command line."""
    if engine == "tensorflow":
        return tensorflow_model(version)
    precision = engine.partition("-")[2]
    folder = version / "assets.extra" / "openvino"
    return openvino_model(folder / ("int8.xml" if precision == "int8" else "model.xml"), precision)


def answer(order: dict[str, Any], model: Callable[[int], Work], files: list[Path]) -> Any:
    """One line's figures."""
    if order["do"] == "decode":
        return saturated(decode_work(files), order["seconds"])
    if order["do"] == "choose":
        tried = {batch: saturated(model(batch), order["seconds"])["core_ms"] for batch in BATCHES}
        return {"batch": min(tried, key=tried.__getitem__), "core_ms": tried}
    return saturated(model(order["batch"]), order["seconds"])


def main() -> None:
    """Answer line by line."""
    engine, folder = sys.argv[1], Path(sys.argv[2])
    (version,) = (folder / "models").glob("*/1")
    files = sorted((folder / "pictures" / "500x375").glob("*.jpg"))
    model = model_of(engine, version)
    print(json.dumps({"ready": engine}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), model, files)), flush=True)


if __name__ == "__main__":
    main()
