"""From what a request costs on two cores to what so many a second take; figures only, no words."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any, Final

USED: Final = 0.7
"""Of each core and event loop at the busiest time: above, waiting grows faster than work."""
MODEL_SERVER_CORES: Final = 8
_MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class Costs:
    """Of one request, over all set-ups; CPU in milliseconds."""

    loop_ms: float
    decode_ms: float
    model_server_ms: float
    image_bytes: int
    tensor_bytes: int
    log_bytes: int
    gateway_bytes: int
    """Memory of a gateway with one process."""
    worker_bytes: int
    """What each further process of it adds."""
    model_server_bytes: int
    series: int

    @classmethod
    def of(cls, results: dict[str, Any]) -> Costs:
        """Medians over the set-ups."""
        set_ups = results["set_ups"]

        def median(name: str) -> float:
            return statistics.median(each[name] for each in set_ups.values())

        one, two = set_ups["1x1"]["gateway_bytes"], set_ups["2x1"]["gateway_bytes"]
        return cls(
            median("loop_ms"),
            median("decode_ms"),
            median("model_server_ms"),
            results["image_bytes"],
            results["tensor_bytes"],
            int(median("log_bytes")),
            one,
            two - one,
            int(median("model_server_bytes")),
            int(median("series")),
        )

    @property
    def gateway_ms(self) -> float:
        """All that the gateway's processes use."""
        return self.loop_ms + self.decode_ms

    @property
    def per_core(self) -> float:
        """Requests per second of a core that does nothing else."""
        return 1000 / (self.gateway_ms + self.model_server_ms)

    @property
    def ratio(self) -> float:
        """Cores for model servers to each core for gateways."""
        return self.model_server_ms / self.gateway_ms

    @property
    def per_process(self) -> float:
        """Requests per second of one gateway process, however many cores it has for decoding."""
        return USED * 1000 / self.loop_ms


@dataclass(frozen=True)
class Plan:
    """What a rate takes."""

    rate: int
    gateway_cores: int
    model_server_cores: int
    processes: int
    """Gateway processes."""
    model_servers: int
    """Of `MODEL_SERVER_CORES` each."""
    memory_gb: float
    photos_gbit: float
    tensors_gbit: float
    connections: int
    """gRPC, each gateway process to each model server."""
    rate_per_pair: float
    """Requests per second of one gateway process at one model server: what a batch is made of."""
    log_gb_per_day: float
    series: int
    """With eight gateway processes to a scrape target."""

    @classmethod
    def of(cls, rate: int, costs: Costs) -> Plan:
        """For so many requests per second."""
        gateway_cores = math.ceil(rate * costs.gateway_ms / 1000 / USED)
        model_server_cores = math.ceil(rate * costs.model_server_ms / 1000 / USED)
        processes = max(2, math.ceil(rate / costs.per_process))
        model_servers = max(2, math.ceil(model_server_cores / MODEL_SERVER_CORES))
        memory = processes * max(costs.gateway_bytes, costs.worker_bytes)
        memory += model_servers * costs.model_server_bytes
        return cls(
            rate,
            gateway_cores,
            model_server_cores,
            processes,
            model_servers,
            memory / 1000 / _MEGABYTE,
            rate * costs.image_bytes * 8 / 1e9,
            rate * costs.tensor_bytes * 8 / 1e9,
            processes * model_servers,
            rate / (processes * model_servers),
            rate * costs.log_bytes * 86_400 / 1e9,
            math.ceil(processes / 8) * costs.series,
        )


def largest_batch(batch_cpu_ms: dict[str, float], deadline_ms: float, other_ms: float) -> int:
    """Images of the largest batch whose answers are in time; 0: not even one is.

    A request comes while a batch is being computed, waits for it, and then for its own.
    """
    fitting = [int(size) for size, ms in batch_cpu_ms.items() if 2 * ms + other_ms <= deadline_ms]
    return max(fitting, default=0)
