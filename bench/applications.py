"""Every Keras application through the release gate, with random weights.

    python -m bench.applications                              all without a result, smallest first
    python -m bench.applications --only ConvNeXtTiny,ResNet50 --again
    python -m bench.applications --weights settled            not the default: see settled_weights
    python -m bench.applications --page-only                  the page from what was measured

Each is exported by the real command line into a folder of its own and proven on the embedded model
server; then `python -m serving` serves it once more and is asked for one `top_k` over gRPC and
REST. Results are written after each, so a run can be interrupted and taken up again;
docs/applications.md shows them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import applications_page
from bench.process_memory import Peaks, measured
from bench.serving_speed import isolated
from bench.settled_weights import save_settled
from contract import signatures
from exporter.proof import goldens
from exporter.store import inventory
from exporter.store.inventory import PublishedVersion
from protocol.blocking import BlockingClient
from protocol.models import ModelSpec
from tests.support.model_server import RunningModelServer, running_model_server
from tests.support.processes import ROOT, Process, python_module

RESULTS: Final = ROOT / "bench" / "results" / "applications.json"
PAGE: Final = ROOT / "docs" / "applications.md"
BYTES_PER_WEIGHT: Final = 4
MEGABYTE: Final = 1_000_000
GIGABYTE: Final = 1_000_000_000

Result = dict[str, Any]
Results = dict[str, Result]


@dataclass(frozen=True)
class Limits:
    """When an application is left out, or its export given up."""

    weights_bytes: int
    memory_bytes: int
    seconds: float


def main() -> None:
    """Measure what the command line says, then write the page."""
    arguments = parse()
    results: Results = (
        json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    )
    limits = Limits(
        arguments.max_weights_mb * MEGABYTE,
        int(arguments.stop_above_gb * GIGABYTE),
        arguments.timeout_seconds,
    )
    if not arguments.page_only:
        results = isolated(weigh, arguments.only, results)
        write(arguments.results, results)
        for name in due(results, arguments.only, limits, is_again=arguments.again):
            weights = {"weights_bytes": results[name]["weights_bytes"]}
            print(f"{name}, {weights['weights_bytes'] / MEGABYTE:.0f} MB of weights", flush=True)
            results[name] = {**weights, **measure(name, arguments.weights, limits)}
            write(arguments.results, results)
            print(f"    {results[name]}", flush=True)
    applications_page.write(arguments.page, results)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", type=lambda text: text.split(","), help="names, by commas")
    parser.add_argument("--weights", choices=["none", "settled"], default="none", help="random")
    parser.add_argument("--again", action="store_true", help="those that have a result, too")
    parser.add_argument("--page-only", action="store_true", help="measure nothing")
    parser.add_argument("--max-weights-mb", type=int, default=600, help="larger ones are left out")
    parser.add_argument("--timeout-seconds", type=float, default=1200.0, help="of one export")
    parser.add_argument(
        "--stop-above-gb",
        type=float,
        default=14.0,
        help="an export whose processes hold more memory is ended (decimal gigabytes)",
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    return parser.parse_args()


def read(path: Path) -> Results:
    """What earlier runs have measured."""
    results: Results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return results


def write(path: Path, results: Results) -> None:
    """Keep the results: another file first, so that Ctrl-C never costs the earlier ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    new.replace(path)


def weigh(only: list[str] | None, results: Results) -> Results:
    """The results with the size of every application's weights, built here to be counted."""
    import keras  # noqa: PLC0415 - only in the process that needs it

    from exporter.sources.known_applications import (  # noqa: PLC0415 - as above
        application_names,
        find_application,
    )

    for name in only or application_names():
        if name not in results:
            model = find_application(name).construct(weights=None)
            results[name] = {"weights_bytes": model.count_params() * BYTES_PER_WEIGHT}
            keras.utils.clear_session()
    return results


def due(results: Results, only: list[str] | None, limits: Limits, *, is_again: bool) -> list[str]:
    """What is to be measured, smallest first, so that much is known before memory runs out."""
    names = [
        name
        for name, result in results.items()
        if (only is None or name in only)
        and (is_again or "outcome" not in result)
        and result["weights_bytes"] <= limits.weights_bytes
    ]
    return sorted(names, key=lambda name: (results[name]["weights_bytes"], name))


def measure(name: str, weights: str, limits: Limits) -> Result:
    """Export one application and ask it; weights: `none` or `settled`."""
    with tempfile.TemporaryDirectory(prefix="applications-") as text:
        directory = Path(text)
        file = directory / "settled.weights.h5"
        if weights == "settled":
            isolated(save_settled, name, file)
        option = str(file) if weights == "settled" else weights
        result = {"weights": weights, **export(name, option, directory, limits)}
        if result["outcome"] == "published":
            version = inventory.find(directory / "models", name.lower())
            result |= describe(version)
            try:
                result |= serve(version, directory)
            except Exception as error:  # noqa: BLE001 - a finding as any other; go on
                result["outcome"] = f"published, but not answered: {error!r:.200}"
    return result


def export(name: str, weights: str, directory: Path, limits: Limits) -> Result:
    """Run the command line; what became of it, its seconds and its peaks of memory in bytes."""
    options = ["--application", name, "--weights", weights, "--base-path", f"{directory}/models"]
    command = python_module("exporter", "export", *options)
    started = time.monotonic()
    embedded = f"{sys.executable} -m serving"
    process = Process(command, directory / "export.log", EXPORTER_MODEL_SERVER=embedded)
    try:
        with measured(
            process.pid, stop_above_bytes=limits.memory_bytes, stop=process.kill
        ) as peaks:
            code = process.wait(limits.seconds)
    except subprocess.TimeoutExpired:
        outcome = f"not done within {limits.seconds:.0f} s"
    else:
        outcome = outcome_of(code, peaks, limits, process.output)
    finally:
        process.kill()
    seconds = round(time.monotonic() - started, 1)
    return {"outcome": outcome, "seconds": seconds, "memory_bytes": asdict(peaks)}


def outcome_of(code: int, peaks: Peaks, limits: Limits, output: str) -> str:
    """`published`, or why not: the exporter's own last line."""
    if code == 0:
        return "published"
    if peaks.together > limits.memory_bytes:
        return f"ended at {peaks.together / GIGABYTE:.1f} GB of memory"
    lines = [line for line in output.splitlines() if line.strip()]
    return f"exit {code}: {lines[-1] if lines else 'it said nothing'}"


def describe(version: PublishedVersion) -> Result:
    """What the version says about itself."""
    card = version.card
    if card is None or card.parity is None:
        raise ValueError(f"{version.path}: published without a card, or without parity in it")
    parity, image = card.parity, card.image
    answers = goldens.read(version.path).probabilities
    return {
        "version_bytes": version.size_bytes,
        "image": [image.height, image.width],
        "is_frozen": card.is_frozen,
        "parity": parity.max_abs_difference,
        "encoded_parity": parity.encoded_max_abs_difference,
        "spread": float(np.ptp(answers, axis=0).max()),
        "frameworks": card.frameworks,
    }


def serve(version: PublishedVersion, directory: Path) -> Result:
    """Serve it as an operator would, ask for one `top_k` by each protocol.

    Returns:
        `load_seconds` until the ports are open, warmup included; and by protocol in `answers` the
        seconds of one image and how far its probabilities are from the golden ones.
    """
    name = version.model_name
    flags = [f"--model_name={name}", f"--model_base_path={version.path.parent}"]
    started = time.monotonic()
    with running_model_server(directory, *flags, seconds=600) as server:
        load_seconds = round(time.monotonic() - started, 1)
        answers = {protocol: ask(server, protocol, version) for protocol in ("grpc", "http")}
    return {"load_seconds": load_seconds, "answers": answers}


def ask(server: RunningModelServer, protocol: str, version: PublishedVersion) -> Result:
    """One golden image, twice: the time is the second one's."""
    kept = goldens.read(version.path)
    spec = ModelSpec(version.model_name, version.version, signature_name=signatures.TOP_K)
    with BlockingClient(server.url(protocol), timeout_seconds=120) as client:
        client.predict(spec, signatures.IMAGES, kept.pixels[:1])
        started = time.perf_counter()
        outputs = client.predict(spec, signatures.IMAGES, kept.pixels[:1]).outputs
        seconds = time.perf_counter() - started
    wanted = kept.probabilities[0, outputs[signatures.CLASS_INDICES][0]]
    difference = np.abs(outputs[signatures.PROBABILITIES][0] - wanted).max()
    return {"seconds": round(seconds, 4), "difference": float(difference)}


if __name__ == "__main__":
    main()
