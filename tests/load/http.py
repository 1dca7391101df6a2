"""Clients that abuse HTTP, beside honest ones: memory, /livez, photos, and what stays behind.

    python -m tests.load.http [--tree TREE] [--only header_lines,trailers] [--scale 0.1]

The attacks are those of tests/load/connections.py. The gateway runs with at most 1,024 open files.
Bars, for each attack: all processes together grow by at most 100 MB, /livez answers within a
second, photos are answered beside it, and afterwards memory, descriptors and answers are back.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

from tests.load import process_tree
from tests.load.beside import Beside
from tests.load.client import Client, image_request
from tests.load.connections import ATTACKS
from tests.load.pictures import photos
from tests.load.process_tree import PeakMemory
from tests.load.report import MEGABYTE, Check, at_least, at_most, conclude, table
from tests.load.running import Target, stop_on_sigterm, target
from tests.support.processes import ROOT

OPEN_FILES = 1024
_QUIET_SECONDS = 1.0
_SETTLE_SECONDS = 20.0


@dataclass(frozen=True)
class Result:
    """One attack."""

    name: str
    seen: str
    """What the attacker saw."""
    seconds: float
    growth_mb: float
    kept_mb: float
    """Growth that is still there some seconds later."""
    kept_descriptors: int
    recovery_seconds: float
    """From the end of the attack to a photo answered within a second."""
    share_answered: float
    livez_max_seconds: float
    beside: dict[str, Any]


def main() -> None:
    """Read the command line, attack, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path, default=ROOT, help="working tree to run")
    parser.add_argument("--model", default="digits", choices=["digits", "photo", "fake"])
    parser.add_argument("--only", default=",".join(ATTACKS), help="names, separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: a tenth of each attack")
    parser.add_argument("--rate", type=float, default=10.0, help="photos a second")
    parser.add_argument("--growth-mb", type=float, default=100.0)
    parser.add_argument("--livez-seconds", type=float, default=1.0)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    stop_on_sigterm()
    results = []
    prefix = ("prlimit", f"--nofile={OPEN_FILES}:{OPEN_FILES}")
    for name in arguments.only.split(","):
        # A gateway of its own for each: what one attack leaves behind is not the next one's.
        with target(model=arguments.model, tree=arguments.tree, prefix=prefix) as running:
            results.append(attack(running, name, scale=arguments.scale, rate=arguments.rate))
        print(asdict(results[-1]), file=sys.stderr, flush=True)
    titles = (
        "attack", "the attacker saw", "grew MB", "kept MB", "kept files", "/livez max s",
        "photos answered", "recovered in s",
    )  # fmt: skip
    print(table(titles, [_row(each) for each in results]))
    checks = [check for each in results for check in _judge(each, arguments)]
    conclude(checks, {"attacks": [asdict(each) for each in results]}, arguments.json)


def attack(running: Target, name: str, *, scale: float, rate: float) -> Result:
    """Run one attack beside honest clients and look at what it did."""
    assert running.pid is not None
    uvloop.run(_warm_up(running.url))
    before = process_tree.usage(running.pid)
    with PeakMemory(running.pid) as peak:
        seen, seconds, beside, recovery_seconds = uvloop.run(
            _attack(running.url, name, scale, rate)
        )
    settled = process_tree.settled_memory_bytes(
        running.pid, below_bytes=before.pss_bytes + 15 * MEGABYTE, seconds=_SETTLE_SECONDS
    )
    return Result(
        name=name,
        seen=seen,
        seconds=round(seconds, 1),
        growth_mb=round((peak.bytes - before.pss_bytes) / MEGABYTE, 1),
        kept_mb=round((settled - before.pss_bytes) / MEGABYTE, 1),
        kept_descriptors=process_tree.usage(running.pid).descriptors - before.descriptors,
        recovery_seconds=round(recovery_seconds, 2),
        share_answered=round(beside.share_answered, 4),
        livez_max_seconds=round(beside.slowest_livez_seconds, 2),
        beside=beside.figures,
    )


async def _attack(
    url: str, name: str, scale: float, rate: float
) -> tuple[str, float, Beside, float]:
    async with Beside(url, rate=rate) as beside:
        await asyncio.sleep(_QUIET_SECONDS)
        start = time.perf_counter()
        seen = await ATTACKS[name](url, scale)
        end = time.perf_counter()
        recovery_seconds = await _recovery(url)
        await asyncio.sleep(_QUIET_SECONDS)
    return seen, end - start, beside, recovery_seconds


async def _warm_up(url: str) -> None:
    client = Client(url)
    for data in photos()[:40]:
        await client.ask(image_request(data))
    client.close()


async def _recovery(url: str) -> float:
    """Seconds until a photo is answered within one; 30 if that does not happen."""
    client = Client(url, keeps_alive=False)
    request = image_request(photos()[0])
    start = time.perf_counter()
    while time.perf_counter() < start + 30:
        asked = time.perf_counter()
        if (await client.ask(request, timeout=1.0)).status == 200:
            return asked - start
        await asyncio.sleep(0.05)
    return 30.0


def _row(each: Result) -> tuple[Any, ...]:
    return (
        each.name, each.seen, each.growth_mb, each.kept_mb, each.kept_descriptors,
        each.livez_max_seconds, each.share_answered, each.recovery_seconds,
    )  # fmt: skip


def _judge(each: Result, arguments: argparse.Namespace) -> list[Check]:
    return [
        at_most(f"{each.name}: memory", each.growth_mb, arguments.growth_mb, "MB more"),
        at_most(f"{each.name}: memory kept", each.kept_mb, 30, "MB"),
        at_most(f"{each.name}: descriptors kept", each.kept_descriptors, 20),
        at_most(f"{each.name}: /livez", each.livez_max_seconds, arguments.livez_seconds, "s"),
        at_least(f"{each.name}: photos answered", each.share_answered, 0.99),
        at_most(f"{each.name}: recovery", each.recovery_seconds, 2, "s"),
    ]


if __name__ == "__main__":
    main()
