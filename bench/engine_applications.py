"""Every Keras application through the second engine, with random weights.

    python -m bench.engine_applications                        all without a result, smallest first
    python -m bench.engine_applications --only ConvNeXtTiny,ResNet50 --again
    python -m bench.engine_applications --only ResNet50 --again --tensorflow-bf16

Each is frozen as the exporter freezes it, converted by OpenVINO's TensorFlow frontend, and raced
against TensorFlow in float32 (`engine_race`), in processes of its own under bounds of memory and
time. Results are written after each, so a run continues where the last one ended;
`scripts/generate_engines.py` writes docs/engines.md from them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from bench.applications import (
    GIGABYTE,
    MEGABYTE,
    Limits,
    Result,
    Results,
    due,
    outcome_of,
    read,
    weigh,
    write,
)
from bench.applications import RESULTS as WEIGHED
from bench.process_memory import measured
from bench.serving_speed import isolated
from exporter.measure import machine
from tests.support.processes import ROOT, Process, python_module

RESULTS: Final = ROOT / "bench" / "results" / "engine_applications.json"
LOOK_SECONDS: Final = 1.0  # between two looks at memory; oftener would take CPU time from the race


def main() -> None:
    """Measure what the command line says, one application at a time."""
    arguments = parse()
    results = weighed(arguments.only, read(arguments.results))
    limits = Limits(
        arguments.max_weights_mb * MEGABYTE,
        int(arguments.stop_above_gb * GIGABYTE),
        arguments.timeout_seconds,
    )
    for name in due(results, arguments.only, limits, is_again=arguments.again):
        weights = {"weights_bytes": results[name]["weights_bytes"]}
        print(f"{name}, {weights['weights_bytes'] / MEGABYTE:.0f} MB of weights", flush=True)
        results[name] = {**weights, **measure(name, arguments, limits)}
        write(arguments.results, results)
        print(f"    {results[name]}", flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", type=lambda text: text.split(","), help="names, by commas")
    parser.add_argument("--again", action="store_true", help="those that have a result, too")
    parser.add_argument("--images", type=int, default=32, help="photographs to compare on")
    parser.add_argument("--rounds", type=int, default=7, help="in which the engines take turns")
    parser.add_argument("--round-seconds", type=float, default=0.3, help="of one engine's turn")
    parser.add_argument(
        "--tensorflow-bf16", action="store_true", help="TensorFlow's bfloat16 graph takes part, too"
    )
    parser.add_argument(
        "--convert-only", action="store_true", help="does it convert? The race comes another time"
    )
    parser.add_argument("--max-weights-mb", type=int, default=2000, help="larger: left out")
    parser.add_argument("--timeout-seconds", type=float, default=900.0, help="of one application")
    parser.add_argument(
        "--stop-above-gb",
        type=float,
        default=14.0,
        help="an application whose processes hold more memory is ended (decimal gigabytes)",
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def weighed(only: list[str] | None, results: Results) -> Results:
    """The results with the size of every application: counted before, else built to be counted."""
    before = {
        name: {"weights_bytes": result["weights_bytes"]} for name, result in read(WEIGHED).items()
    }
    known = {**before, **results}
    found: Results = isolated(weigh, only, known)
    return found


def measure(name: str, arguments: argparse.Namespace, limits: Limits) -> Result:
    """Race one application in a process of its own; what came of it, and where and when."""
    started = time.monotonic()
    where = described()
    with tempfile.TemporaryDirectory(prefix="engine-applications-") as text:
        result, peak_bytes = run(command(name, arguments, Path(text)), Path(text), limits)
    seconds = round(time.monotonic() - started, 1)
    return {**result, "seconds": seconds, "peak_bytes": peak_bytes, "machine": where}


def command(name: str, arguments: argparse.Namespace, directory: Path) -> list[str]:
    """The race's own command line."""
    options = [
        f"--images={arguments.images}",
        f"--rounds={arguments.rounds}",
        f"--round-seconds={arguments.round_seconds}",
        *(["--tensorflow-bf16"] if arguments.tensorflow_bf16 else []),
        *(["--convert-only"] if arguments.convert_only else []),
    ]
    return python_module("bench.engine_race", name, str(directory / "result.json"), *options)


def run(words: list[str], directory: Path, limits: Limits) -> tuple[Result, int]:
    """Run the race under the limits; its result and the peak of all its processes in bytes."""
    process = Process(words, directory / "race.log")
    try:
        with measured(
            process.pid,
            stop_above_bytes=limits.memory_bytes,
            stop=process.kill,
            interval_seconds=LOOK_SECONDS,
        ) as peaks:
            code = process.wait(limits.seconds)
    except subprocess.TimeoutExpired:
        return {"outcome": f"not done within {limits.seconds:.0f} s"}, peaks.together
    finally:
        process.kill()
    if code:
        return {"outcome": outcome_of(code, peaks, limits, process.output)}, peaks.together
    return json.loads((directory / "result.json").read_text(encoding="utf-8")), peaks.together


def described() -> dict[str, object]:
    """The day, the machine and the versions."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        **machine.describe(),
        "openvino": metadata.version("openvino"),
    }


if __name__ == "__main__":
    main()
