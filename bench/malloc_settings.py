"""What glibc's malloc settings cost and save in the model server, as ratios measured in one run.

    python -m bench.malloc_settings models/classifier

One embedded server per setting, all at once over copies of one version (hard links). They are asked
in turn, in short slices, so that a busy machine slows all alike; then each swaps a few times while
it is asked. Prints images per second against the server without settings, and resident memory once
loaded, after the load, and at the peak of the swaps.

The embedded server gives memory back by itself after each load and unload (serving/core/memory.py),
which TensorFlow Serving does not: here the settings save less than they do there.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from bench.process_memory import measured
from bench.serving_speed import closed_loop, isolated, request_bytes
from contract import signatures
from protocol.blocking import BlockingClient
from protocol.models import State
from tests.support.model_server import RunningModelServer, running_model_server
from tests.support.processes import ROOT, wait_until

SETTINGS: Final[dict[str, dict[str, str]]] = {
    "none": {},
    "trim, top pad": {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_TOP_PAD_": "0"},
    "one arena": {"MALLOC_ARENA_MAX": "1"},
    "trim, top pad, one arena": {
        "MALLOC_TRIM_THRESHOLD_": "131072",
        "MALLOC_TOP_PAD_": "0",
        "MALLOC_ARENA_MAX": "1",
    },
    "mmap threshold": {"MALLOC_MMAP_THRESHOLD_": "131072"},
    # The largest threshold that glibc comes to by itself, fixed: less is mapped anew for each call.
    "trim 32 MB, one arena": {
        "MALLOC_MMAP_THRESHOLD_": "33554432",
        "MALLOC_TRIM_THRESHOLD_": "33554432",
        "MALLOC_ARENA_MAX": "1",
    },
}
_NAME: Final = "classifier"
_MEGABYTE: Final = 1 << 20
_BATCH: Final = 16
_CLIENTS: Final = 2  # as many calls as a gateway has under way


@dataclass
class Measured:
    """Images per second in each slice, and resident bytes."""

    rates: list[float] = field(default_factory=list)
    loaded: int = 0
    asked: int = 0
    swapped: int = 0
    peak: int = 0


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of a model; its version 1 is served")
    parser.add_argument("--only", help="settings, by semicolons; `none` is measured in any case")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one slice")
    parser.add_argument("--swaps", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.model.parent) as directory:
        results = measure(arguments, Path(directory))
    baseline = statistics.median(results["none"].rates)
    print("                            speed   loaded    asked  swapped     peak   (MB resident)")
    for name, found in results.items():
        sizes = (found.loaded, found.asked, found.swapped, found.peak)
        columns = "".join(f"{size / _MEGABYTE:9.0f}" for size in sizes)
        print(f"{name:26}{statistics.median(found.rates) / baseline:7.2f}{columns}")


def measure(arguments: argparse.Namespace, directory: Path) -> dict[str, Measured]:
    """Everything, for each setting."""
    source = arguments.model / "1"
    wanted = {"none", *arguments.only.split(";")} if arguments.only else SETTINGS.keys()
    results = {name: Measured() for name in SETTINGS if name in wanted}
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(serving(directory / str(number), source, name))
            for number, name in enumerate(results)
        }
        for name, server in servers.items():
            results[name].loaded = resident(server)
        for name, server in [*servers.items()] * arguments.rounds:
            rate = isolated(ask, server.grpc_address, arguments.seconds)
            results[name].rates.append(rate)
        for number, (name, server) in enumerate(servers.items()):
            results[name].asked = resident(server)
            with measured(server.pid, stop_above_bytes=1 << 62, stop=lambda: None) as peaks:
                for version in range(2, 2 + arguments.swaps):
                    swap(directory / str(number) / _NAME, source, server, version)
                    isolated(ask, server.grpc_address, arguments.seconds)
            results[name].peak = peaks.model_server
            results[name].swapped = resident(server)
    return results


def serving(folder: Path, source: Path, setting: str):  # noqa: ANN201 - a context manager's
    """A server of its own copy, started as in Compose and on Kubernetes."""
    copy(source, folder / _NAME / "1")
    return running_model_server(
        folder,
        f"--model_name={_NAME}",
        f"--model_base_path={folder / _NAME}",
        "--file_system_poll_wait_seconds=1",
        "--enable_batching=true",
        f"--batching_parameters_file={ROOT / 'k8s/model-server/batching.config'}",
        "--grpc_max_threads=128",
        "--tensorflow_intra_op_parallelism=1",
        "--tensorflow_inter_op_parallelism=2",
        environment=SETTINGS[setting],
    )


def copy(source: Path, target: Path) -> None:
    """A version by hard links, visible at once."""
    staged = target.parent / ".staged"
    shutil.copytree(source, staged, copy_function=lambda a, b: Path(b).hardlink_to(a))
    staged.rename(target)


def swap(folder: Path, source: Path, server: RunningModelServer, version: int) -> None:
    """Publish the next version and wait until it alone is served."""
    copy(source, folder / str(version))
    with BlockingClient(server.url("grpc"), timeout_seconds=30) as client:
        wait_until(
            lambda: (
                {each.version for each in client.statuses(_NAME) if each.state is not State.END}
                == {version}
            ),
            what=f"version {version}",
        )


def resident(server: RunningModelServer) -> int:
    """Bytes."""
    return psutil.Process(server.pid).memory_info().rss


def ask(address: str, seconds: float) -> float:
    """Images per second of closed-loop clients, in this process."""
    images = np.random.default_rng(0).integers(0, 255, (_BATCH, 224, 224, 3), np.uint8)
    body = request_bytes(_NAME, images, signatures.IMAGES, signatures.TOP_K)
    return _BATCH * closed_loop(address, body, _CLIENTS, seconds)


if __name__ == "__main__":
    main()
