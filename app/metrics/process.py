"""The process: CPU, memory and descriptors, what runs, and the same of its decode workers."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from protocol.version import running_version

_PROC: Final = Path("/proc")
_RESIDENT_PAGES: Final = 1
"""Field of /proc/PID/statm."""
_CPU_TICKS: Final = slice(11, 13)
"""utime and stime in /proc/PID/stat, counted after the command's name, which may hold anything."""


class ProcessMetrics:
    """Reads them from the system whenever somebody asks; elsewhere than on Linux there are none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        ProcessCollector(registry=registry)
        self._workers = _Workers()
        registry.register(self._workers)
        build = Gauge(
            "gateway_build_info",
            "1: the versions of Sightserve and Python that run.",
            ("version", "python"),
            registry=registry,
        )
        build.labels(running_version(), platform.python_version()).set(1)

    def watch_workers(self, pids: Callable[[], Iterable[int]]) -> None:
        """Read the processes with these ids, too."""
        self._workers.pids = pids


class _Workers(Collector):
    """What the decode workers take. One that ends takes its last moments of CPU with it."""

    def __init__(self) -> None:
        self.pids: Callable[[], Iterable[int]] = tuple
        self._cpu_seconds = 0.0
        self._seen: dict[int, float] = {}

    def collect(self) -> Iterator[Metric]:
        """See `Collector.collect`."""
        resident_bytes = 0
        seen: dict[int, float] = {}
        for pid in self.pids():
            with suppress(OSError, ValueError, IndexError):  # it has just ended
                resident_bytes += _resident_bytes(pid)
                seen[pid] = _cpu_seconds(pid)
        self._cpu_seconds += sum(
            max(0.0, seconds - self._seen.get(pid, 0.0)) for pid, seconds in seen.items()
        )
        self._seen = seen
        yield GaugeMetricFamily(
            "gateway_decode_resident_memory_bytes",
            "Resident memory of the decode workers; pages that they share count for each.",
            value=resident_bytes,
        )
        yield CounterMetricFamily(
            "gateway_decode_cpu_seconds",
            "CPU time of the decode workers, as far as a scrape has seen it.",
            value=self._cpu_seconds,
        )


def _resident_bytes(pid: int) -> int:
    fields = (_PROC / str(pid) / "statm").read_text(encoding="ascii").split()
    return int(fields[_RESIDENT_PAGES]) * os.sysconf("SC_PAGE_SIZE")


def _cpu_seconds(pid: int) -> float:
    after_name = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    return sum(map(int, after_name[_CPU_TICKS])) / os.sysconf("SC_CLK_TCK")
