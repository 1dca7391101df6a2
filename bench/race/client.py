"""The load generator as a process of its own, so that its CPU can be told from the servers'.

Reads what to do as JSON on standard input, and prints what it saw (`sightserve.bench.load.Sample`).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.race.processes import ROOT, StartError
from sightserve.bench.bodies import Body
from sightserve.bench.http import Target
from sightserve.bench.load import event_loop
from sightserve.bench.run import Load, pictures_of


@dataclass(frozen=True)
class Order:
    """One measurement."""

    url: str
    body: Body
    files: list[str]
    right: list[list[int]]
    """For each file the class indices that are right."""
    mode: Literal["closed", "open"]
    amount: float
    """Clients, or requests per second."""
    seconds: float
    timeout: float = 60.0


def measured(order: Order) -> dict[str, Any]:
    """Run it; what was seen, with `client_cpu_seconds`.

    Raises:
        StartError: the generator itself failed.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "bench.race.client"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            output, errors = child.communicate(json.dumps(asdict(order)))
        finally:
            child.kill()
    if child.returncode:
        raise StartError(f"the load generator failed: {errors.strip()[-500:]}")
    return dict(json.loads(output))


def judge_of(right: list[list[int]]) -> Any:
    """Compares the first class of an answer."""
    sets = [frozenset(each) for each in right]

    def judge(index: int, body: bytes) -> bool:
        try:
            return json.loads(body)["predictions"][0]["class_index"] in sets[index]
        except (ValueError, LookupError, TypeError):
            return False

    return judge


def main() -> None:
    """Do what standard input says."""
    order = Order(**json.load(sys.stdin))
    target = Target.of(order.url)
    images = [(name, Path(name).read_bytes()) for name in order.files]
    pictures = pictures_of(target, images, order.body)
    load = Load(target, pictures, order.timeout, judge_of(order.right))
    started = time.process_time()
    with asyncio.Runner(loop_factory=event_loop) as runner:
        if order.mode == "closed":
            sample = runner.run(load.closed(int(order.amount), order.seconds))
        else:
            sample = runner.run(load.open(order.amount, order.seconds))
    used = time.process_time() - started
    print(json.dumps({**sample.to_json(), "client_cpu_seconds": used}))


if __name__ == "__main__":
    main()
