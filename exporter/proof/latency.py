"""How long one picture takes on the gate's model server, alone and warmed up."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from contract import signatures as names
from exporter.errors import RefusedError
from exporter.proof.lines import GateLine
from protocol.blocking import BlockingClient
from protocol.models import ModelSpec

STEP: Final = "latency"
_WARMUP: Final = 5
_LEAST: Final = 20
_MOST: Final = 100
_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of `top_k` requests of one picture each, one after the other, over gRPC."""

    requests: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float

    def __str__(self) -> str:
        return (
            f"p95 {self.p95_ms:.1f} ms, median {self.p50_ms:.1f} ms of {self.requests} requests of "
            "one picture"
        )


def measure(client: BlockingClient, spec: ModelSpec, pixels: npt.NDArray[np.uint8]) -> Latency:
    """Ask for single pictures in turn: at least 20 times, then until 100 or three seconds.

    Args:
        client: the model server.
        spec: the served version.
        pixels: uint8 [N,H,W,3], N >= 1.
    """
    asked = replace(spec, signature_name=names.TOP_K)
    taken: list[float] = []
    begun = time.perf_counter()
    for number in range(_WARMUP + _MOST):
        picture = pixels[number % len(pixels)][np.newaxis]
        before = time.perf_counter()
        client.predict(asked, names.IMAGES, picture)
        now = time.perf_counter()
        if number >= _WARMUP:
            taken.append(1000 * (now - before))
        if len(taken) >= _LEAST and now - begun > _SECONDS:
            break
    p50, p95, p99 = np.percentile(taken, [50, 95, 99])
    return Latency(len(taken), float(np.mean(taken)), float(p50), float(p95), float(p99))


def require(latency: Latency, max_latency_ms: float | None) -> GateLine:
    """Hold the 95th percentile against what is allowed.

    Raises:
        RefusedError: it is above.
    """
    if max_latency_ms is not None and latency.p95_ms > max_latency_ms:
        raise RefusedError(
            f"{latency}; allowed are {max_latency_ms:g} ms (--max-latency-ms)", step=STEP
        )
    bound = None if max_latency_ms is None else f"p95 {max_latency_ms:g} ms"
    return GateLine(step=STEP, found=str(latency), bound=bound)
