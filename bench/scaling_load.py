"""The load, the clocks and the counters of `bench.scaling`: everything but what is compared."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import httpx
import psutil

from bench.gateway_overhead import HttpCaller

_CLIENT_SECONDS: Final = 20.0
_REFUSED_SECONDS: Final = 0.2
"""Then it is tried again; at once, refusals would be what is measured."""


@dataclass
class Cpu:
    """CPU seconds of the parts of a set-up."""

    loops: float
    """The gateway processes' own: HTTP, batches, JSON."""
    decoding: float
    """Everything that they started."""
    model_servers: float

    def __sub__(self, before: Cpu) -> Cpu:
        return Cpu(
            self.loops - before.loops,
            self.decoding - before.decoding,
            self.model_servers - before.model_servers,
        )


class Processes:
    """A gateway (one process, or a supervisor and its workers) and its model servers."""

    def __init__(self, gateway: int, model_servers: Iterable[int]) -> None:
        self._gateway = psutil.Process(gateway)
        self._model_servers = [psutil.Process(pid) for pid in model_servers]

    def cpu(self) -> Cpu:
        """Used so far; what ended meanwhile is missing."""
        loops = self._loops()
        others = set(self._gateway.children(recursive=True)) - set(loops) | {self._gateway}
        return Cpu(
            sum(map(cpu_seconds, loops)),
            sum(map(cpu_seconds, others - set(loops))),
            sum(map(cpu_seconds, self._model_servers)),
        )

    def gateway_bytes(self) -> int:
        """Proportional set size of the whole tree."""
        tree = [self._gateway, *self._gateway.children(recursive=True)]
        return sum(map(_proportional_bytes, tree))

    def model_server_bytes(self) -> int:
        """Resident memory of the largest."""
        return max(int(each.memory_info().rss) for each in self._model_servers)

    def _loops(self) -> list[psutil.Process]:
        workers = [
            child
            for child in self._gateway.children()
            if any(word.endswith("app.worker") for word in child.cmdline())
        ]
        return workers or [self._gateway]


@dataclass
class Counted:
    """What a gateway says that it did."""

    batches: float
    images_in_batches: float
    series: int
    """Samples of its exposition: what Prometheus keeps of it."""


def counted(url: str) -> Counted:
    """Ask `/metrics`."""
    text = httpx.get(f"{url}/metrics", trust_env=False).text
    return Counted(
        _value(text, "gateway_batch_size_count"),
        _value(text, "gateway_batch_size_sum"),
        sum(not line.startswith("#") for line in text.splitlines()),
    )


async def closed_loop(url: str, image: bytes, clients: int, seconds: float) -> list[float]:
    """Seconds of each request of so many clients, who send the next when one is answered."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        caller = HttpCaller(url, image)
        while (start := time.perf_counter()) < end:
            try:
                async with asyncio.timeout(_CLIENT_SECONDS):
                    await caller.call()
                latencies.append(time.perf_counter() - start)
            except RuntimeError:  # refused: not counted
                await asyncio.sleep(_REFUSED_SECONDS)
        caller.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return latencies


def _value(text: str, series: str) -> float:
    found = re.search(rf"^{series} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def cpu_seconds(process: psutil.Process) -> float:
    """Used so far; 0 of one that has ended."""
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _proportional_bytes(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return int(process.memory_full_info().pss)
    return 0
