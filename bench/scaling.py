"""One and two gateway processes in front of one and two model servers, in turns; and what follows.

    python -m bench.scaling [--models DIR --model NAME]   measures (3 minutes), then writes the page
    python -m bench.scaling --page                        writes docs/scaling.md from the last run

Without --models MobileNetV2 is exported with random weights first (another minute). All set-ups run
at once and are loaded one at a time, so ratios hold on a busy machine and seconds do not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from bench.scaling_load import Counted, Cpu, Processes, closed_loop, counted, cpu_seconds
from bench.scaling_page import write_page
from protocol.blocking import BlockingClient
from protocol.models import ModelSpec
from tests.support import stack
from tests.support.model_server import RunningModelServer
from tests.support.pictures import encoded, photographs

RESULTS: Final = Path("bench/results/scaling.json")
PAGE: Final = Path("docs/scaling.md")
SIZES: Final = ((1, 1), (2, 1), (1, 2), (2, 2))
"""Gateway processes and model servers."""
BATCHES: Final = (1, 2, 4, 8, 16, 32)
_SIDE: Final = 224


@dataclass
class SetUp:
    """One size, running, and what its turns gave."""

    name: str
    gateway: stack.Gateway
    processes: Processes
    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    requests: int = 0
    cpu: Cpu = field(default_factory=lambda: Cpu(0.0, 0.0, 0.0))
    batches: float = 0.0
    images_in_batches: float = 0.0
    log_bytes: int = 0

    def turn(self, image: bytes, clients: int, seconds: float) -> None:
        """Load it once."""
        before, said, written = self.processes.cpu(), counted(self.gateway.url), self._log_size()
        start = time.perf_counter()
        latencies = asyncio.run(closed_loop(self.gateway.url, image, clients, seconds))
        self.rates.append(len(latencies) / (time.perf_counter() - start))
        self.latencies += latencies
        self.requests += len(latencies)
        used, now = self.processes.cpu() - before, counted(self.gateway.url)
        self.cpu.loops += used.loops
        self.cpu.decoding += used.decoding
        self.cpu.model_servers += used.model_servers
        self.batches += now.batches - said.batches
        self.images_in_batches += now.images_in_batches - said.images_in_batches
        self.log_bytes += self._log_size() - written

    def result(self) -> dict[str, Any]:
        """Medians and means over all turns."""
        p50, p99 = np.percentile(np.array(self.latencies) * 1000, [50, 99])
        last: Counted = counted(self.gateway.url)
        each = 1000 / self.requests
        return {
            "requests_per_second": round(statistics.median(self.rates), 1),
            "rounds": [round(rate, 1) for rate in self.rates],
            "p50_ms": round(float(p50), 1),
            "p99_ms": round(float(p99), 1),
            "loop_ms": round(self.cpu.loops * each, 3),
            "decode_ms": round(self.cpu.decoding * each, 3),
            "model_server_ms": round(self.cpu.model_servers * each, 3),
            "images_per_batch": round(self.images_in_batches / max(1.0, self.batches), 2),
            "gateway_bytes": self.processes.gateway_bytes(),
            "model_server_bytes": self.processes.model_server_bytes(),
            "log_bytes": round(self.log_bytes / self.requests),
            "series": last.series,
        }

    def _log_size(self) -> int:
        return self.gateway.process.log.stat().st_size


@contextmanager
def running(models: Path, model: str, folder: Path) -> Iterator[list[SetUp]]:
    """Two model servers, and a gateway for each size."""
    cpus = len(os.sched_getaffinity(0))
    flags = (
        "--tensorflow_intra_op_parallelism=1",
        f"--tensorflow_inter_op_parallelism={cpus}",
    )
    with ExitStack() as exits:
        servers = [exits.enter_context(stack.model_server(models, *flags)) for _ in range(2)]
        set_ups = []
        for workers, count in SIZES:
            used = servers[:count]
            name = f"{workers}x{count}"
            gateway = exits.enter_context(
                stack.gateway(
                    ",".join(each.url("grpc") for each in used),
                    model,
                    folder / f"{name}.log",
                    GATEWAY_WORKERS=str(workers),
                )
            )
            pids = [each.pid for each in used]
            set_ups.append(SetUp(name, gateway, Processes(gateway.process.pid, pids)))
        for server in servers:
            warm(server, model)
        yield set_ups


def warm(server: RunningModelServer, model: str) -> None:
    """Ask for every batch size once: TensorFlow plans for each shape."""
    batch_cpu_ms(server, model, rounds=1, seconds=0)


def batch_cpu_ms(
    server: RunningModelServer, model: str, *, rounds: int, seconds: float = 0.4
) -> dict[str, float]:
    """CPU of the model server for a call by its images, one call at a time; sizes take turns."""
    process = psutil.Process(server.pid)
    used, calls = dict.fromkeys(BATCHES, 0.0), Counter[int]()
    with BlockingClient(server.url("grpc"), timeout_seconds=60) as client:
        spec = ModelSpec(model, signature_name="top_k")
        for _ in range(rounds):
            for size in BATCHES:
                images = np.full((size, _SIDE, _SIDE, 3), 128, np.uint8)
                before, end, now = cpu_seconds(process), time.perf_counter() + seconds, 0.0
                while now <= end:
                    client.predict(spec, "images", images)
                    calls[size] += 1
                    now = time.perf_counter()
                used[size] += cpu_seconds(process) - before
    return {str(size): round(1000 * used[size] / calls[size], 2) for size in BATCHES}


def photo() -> bytes:
    """A photograph of 500x375, as a JPEG of about 51 kB."""
    from PIL import Image  # noqa: PLC0415 - only where something is measured

    pixels = Image.fromarray(photographs()["china"]).resize((500, 375))
    return encoded(np.asarray(pixels), quality=80)


def measure(arguments: argparse.Namespace, models: Path, model: str) -> dict[str, Any]:
    """All sizes in turns, then batches."""
    image, load_average = photo(), os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory() as text,
        running(models, model, Path(text)) as set_ups,
    ):
        for set_up in set_ups:
            asyncio.run(closed_loop(set_up.gateway.url, image, arguments.clients, 1.5))
        for number in range(arguments.rounds):
            for set_up in set_ups if number % 2 == 0 else reversed(set_ups):
                set_up.turn(image, arguments.clients, arguments.seconds)
                print(f"round {number + 1}: {set_up.name} {set_up.rates[-1]:.0f}/s", flush=True)
        results = {set_up.name: set_up.result() for set_up in set_ups}
    with stack.model_server(models, "--tensorflow_intra_op_parallelism=1") as server:
        warm(server, model)
        batches = batch_cpu_ms(server, model, rounds=arguments.rounds)
    return {
        "model": arguments.title,
        "machine": {
            "cpu": cpu_name(),
            "cores": len(os.sched_getaffinity(0)),
            "load_average": round(load_average, 1),
        },
        "versions": {name: version(name) for name in ("tensorflow-cpu", "grpcio", "uvicorn")},
        "image_bytes": len(image),
        "tensor_bytes": _SIDE * _SIDE * 3,
        "clients": arguments.clients,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "set_ups": results,
        "batch_cpu_ms": batches,
    }


def cpu_name() -> str:
    """As /proc/cpuinfo calls it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page")
    parser.add_argument("--models", type=Path, help="published models; default: export one")
    parser.add_argument("--model", default="mobilenet", help="a model of 224x224 pixels among them")
    parser.add_argument("--title", default="MobileNetV2", help="what the page calls it")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    arguments = parser.parse_args()
    if not arguments.page:
        with tempfile.TemporaryDirectory() as text:
            models = arguments.models or Path(text)
            if arguments.models is None:
                options = ("--application", "MobileNetV2", "--weights", "none")
                stack.export("export", *options, "--base-path", text, "--name", arguments.model)
            results = measure(arguments, models, arguments.model)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write_page(json.loads(RESULTS.read_text(encoding="utf-8")), PAGE)


if __name__ == "__main__":
    main()
