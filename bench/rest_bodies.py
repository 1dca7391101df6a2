"""What a bad REST body costs beside a good one of the same size: no error may hold a thread.

    python -m bench.rest_bodies

One image of 224x224x3 as nested lists (789 kB), right and wrong in several ways, sent in turn to an
embedded server that does next to nothing with it. Prints medians, and ratios to the good body.
"""

from __future__ import annotations

import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from bench.serving_speed import SIDE, isolated, save_trivial
from tests.support.model_server import running_model_server

ROUNDS = 40
WANTED = 1.5


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        isolated(save_trivial, directory / "trivial" / "1")
        flags = ["--model_name=trivial", f"--model_base_path={directory}/trivial"]
        with running_model_server(directory, *flags) as server:
            seconds = measure(server.rest_url, bodies())
    good = seconds["good"]
    for what, median in seconds.items():
        print(f"{what:28} {median * 1e3:7.1f} ms   ratio {median / good:5.2f}")
    print(f"(wanted: ratios of at most {WANTED})")


def bodies() -> dict[str, tuple[str, bytes, int]]:
    """Model, body and expected status of each case."""
    pixels = np.random.default_rng(1).integers(100, 256, (1, SIDE, SIDE, 3), dtype=np.uint8)
    good = json.dumps({"instances": pixels.tolist()}).encode()
    values, _, last = good.removesuffix(b"]]]]}").rpartition(b" ")
    wrong = {
        "one value of 256": values + b" 256]]]]}",
        "a string among numbers": values + b' "7"]]]]}',
        "a boolean among numbers": values + b" true]]]]}",
        "a wrong length": values[:-1] + b"]]]]}",
        "an element too deep": values + b" [" + last + b"]]]]]}",
        "a missing bracket": good[:-2] + b"}",
        "nested too deep": good[:-1] + b', "x": ' + b"[" * 5000,
        "an unknown signature": good[:-1] + b', "signature_name": "nope"}',
    }
    odd = {
        "text after the document": good + b" x",
        "a repeated key": good[:-1] + b', "instances": 1}',
        "a byte that is not UTF-8": good[:-1] + b', "x": "\xff"}',
    }
    return {
        "good": ("trivial", good, 200),
        "an unknown model": ("unknown", good, 404),
        **{what: ("trivial", body, 400) for what, body in wrong.items()},
        **{what: ("trivial", body, 200) for what, body in odd.items()},
    }


def measure(url: str, cases: dict[str, tuple[str, bytes, int]]) -> dict[str, float]:
    """The median seconds of each case, over rounds in which each has its turn."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    seconds: dict[str, list[float]] = {what: [] for what in cases}
    for _ in range(ROUNDS):
        for what, (model, body, status) in cases.items():
            seconds[what].append(timed(lambda m=model, b=body, s=status: post(connection, m, b, s)))
    connection.close()
    return {what: statistics.median(samples) for what, samples in seconds.items()}


def timed(call: Callable[[], None]) -> float:
    """The seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def post(connection: http.client.HTTPConnection, model: str, body: bytes, status: int) -> None:
    """One request; its status has to be the expected one."""
    connection.request("POST", f"/v1/models/{model}:predict", body)
    response = connection.getresponse()
    text = response.read()
    if response.status != status:
        raise SystemExit(f"expected {status}, got {response.status}: {text[:300]!r}")


if __name__ == "__main__":
    main()
