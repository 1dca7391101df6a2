"""`sightserve classify` beside the load generator: throughput and memory, in one run.

    python -m bench.classify_command [--files 1000] [--rounds 5] [--model digits,photo]

Both ask the same gateway for the same files; in each round the command runs between two runs of
the load generator and is compared with their mean, and the median of the rounds counts. The bars:
0.9 of the load generator's images a second, memory that does not grow with the number of files (ten
times as many are classified once more), every result right. Models: digits (32 x 32 PNG files) and
photo (500 x 375 JPEG files, 224 x 224 pixels into the model).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from statistics import median

import psutil
import uvloop
from PIL import Image
from sklearn.datasets import load_digits

from tests.load.client import Client, image_request
from tests.load.pictures import photos
from tests.load.running import gateway, model_server, stop_on_sigterm
from tests.support.processes import ROOT, python_module

CONCURRENCY = 16
RATIO = 0.9
GROWTH_MB = 10.0
MEGABYTE = 1e6


def main() -> None:
    """Read the command line, measure, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="digits,photo")
    arguments = parser.parse_args()
    stop_on_sigterm()
    is_met = True
    with model_server() as server, tempfile.TemporaryDirectory() as folder:
        for model in arguments.model.split(","):
            with gateway(server.url("grpc"), model) as target:
                files = written(Path(folder) / model, pictures(model), arguments.files)
                is_met &= compare(target.url, model, files, arguments.rounds)
    sys.exit(0 if is_met else 1)


def pictures(model: str) -> list[bytes]:
    """Different image files."""
    return photos() if model == "photo" else [_png(each) for each in load_digits().images[:500]]


def _png(digit: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray((digit * 15.9).astype("uint8")).resize((32, 32)).save(buffer, "PNG")  # type: ignore[attr-defined, operator]  # an array
    return buffer.getvalue()


def written(folder: Path, images: list[bytes], count: int) -> list[Path]:
    """So many files of them, in order."""
    folder.mkdir()
    suffix = "png" if images[0].startswith(b"\x89PNG") else "jpg"
    files = [folder / f"{number:06}.{suffix}" for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(images[number % len(images)])
    return files


def compare(url: str, model: str, files: list[Path], rounds: int) -> bool:
    """Measure both in turn; whether the bars are met."""
    before, expected = uvloop.run(load(url, files))  # a warm-up
    loads, rates, ratios, peaks = [], [], [], []
    for _ in range(rounds):
        before = uvloop.run(load(url, files))[0]
        rate, peak, answers = command(url, [str(files[0].parent)])
        after = uvloop.run(load(url, files))[0]
        if answers != expected:
            raise SystemExit("the command's results are not the load generator's")
        loads += [before, after]
        rates.append(rate)
        ratios.append(2 * rate / (before + after))
        peaks.append(peak)
    _, large, _ = command(url, [str(files[0].parent)] * 10)
    ratio, growth = median(ratios), (large - max(peaks)) / MEGABYTE
    print(
        f"{model}: load generator {median(loads):.0f} images/s, command {median(rates):.0f}: "
        f"{ratio:.2f} (bar {RATIO}; {min(ratios):.2f} to {max(ratios):.2f}); "
        f"memory {max(peaks) / MEGABYTE:.0f} MB, with ten times the "
        f"files {growth:+.1f} MB (bar {GROWTH_MB:.0f}); {len(files)} results right",
        flush=True,
    )
    return ratio >= RATIO and growth <= GROWTH_MB


async def load(url: str, files: list[Path]) -> tuple[float, list[int]]:
    """Images a second of the load generator, and the best class of each file."""
    requests = [image_request(file.read_bytes()) for file in files]
    answers = [0] * len(files)
    client, numbers = Client(url), iter(range(len(files)))

    async def one() -> None:
        for number in numbers:
            answer = await client.ask(requests[number])
            if answer.status != 200:
                raise SystemExit(f"the load generator got {answer.outcome}")
            answers[number] = json.loads(answer.body)["predictions"][0]["class_index"]

    start = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONCURRENCY)))
    seconds = time.perf_counter() - start
    client.close()
    return len(files) / seconds, answers


def command(url: str, paths: list[str]) -> tuple[float, float, list[int]]:
    """Images a second as its summary says, peak of memory in bytes, the best class of each file."""
    arguments = ("classify", "--url", url, "--format", "jsonl", *paths)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = psutil.Popen(
            [*python_module("sightserve"), *arguments], cwd=ROOT, stdout=output, stderr=errors
        )
        peak = 0
        while child.poll() is None:
            try:
                peak = max(peak, child.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.1)
        errors.seek(0)
        summary = errors.read().decode()
        if child.wait() != 0:
            raise subprocess.CalledProcessError(child.returncode, "classify", stderr=summary)
        output.seek(0)
        best = [json.loads(line)["predictions"][0]["class_index"] for line in output]
    rate = float(summary.split(" images/s")[0].rsplit(" ", 1)[1].replace(",", ""))
    return rate, peak, best


if __name__ == "__main__":
    main()
