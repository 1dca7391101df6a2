r"""Images that attack, beside honest clients.

    python -m tests.load.bombs [--tree TREE]

    corpus    every bomb of tests/support/bombs.py, some at a time
    batch     32 of the 38-byte WebPs in one form, with a deadline of 60 s, four times
    pair      two JPEGs at once that would compute for minutes
    stop      SIGTERM while they compute

The attacker's address is 127.0.0.2, the honest clients' 127.0.0.1. Bars: each bomb has its right
answer in its time, photos are answered beside them, /livez and /readyz hold, the memory of all
processes together stays within the container's limit, SIGTERM ends the process within the drain
limit with exit code 0.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

from tests.load.beside import Beside
from tests.load.client import Answer, Client, image_request, request_bytes
from tests.load.process_tree import PeakMemory
from tests.load.report import MEGABYTE, Check, at_most, conclude, exactly, table
from tests.load.running import Target, stop_on_sigterm, target
from tests.support.bombs import BOMBS, BY_NAME, Bomb
from tests.support.processes import ROOT

ATTACKER = "127.0.0.2"
CPU_BOMBS = ("jpeg-progressive-20mb-of-scans", "jpeg-progressive-319kb-of-scans")
_BATCH_REQUESTS = 4
_SHARE_ANSWERED = 0.99
_LIVEZ_SECONDS = 1.0
_DRAIN_SECONDS = 30.0
_BATCH_SECONDS = 60
_QUIET_SECONDS = 2.0


Part = Callable[[], Awaitable[list["Exploded"]]]


@dataclass(frozen=True)
class Exploded:
    """One hostile request and its answer."""

    name: str
    outcome: str
    seconds: float
    wanted: str
    is_right: bool
    is_in_time: bool


def main() -> None:
    """Read the command line, attack, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a running gateway, instead of one of its own")
    parser.add_argument("--tree", type=Path, default=ROOT, help="working tree to run")
    parser.add_argument("--model", default="digits", choices=["digits", "photo", "fake"])
    parser.add_argument("--rate", type=float, default=10.0, help="photos a second")
    parser.add_argument("--at-once", type=int, default=2, help="bombs at a time")
    parser.add_argument("--patience", type=float, default=2.0, help="times a bomb's own seconds")
    parser.add_argument("--memory-mb", type=float, default=1074.0, help="all processes together")
    parser.add_argument("--only", default="", help="bombs whose name contains this")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    stop_on_sigterm()
    with target(arguments.url, model=arguments.model, tree=arguments.tree) as running:
        checks, figures = attack(running, arguments)
    conclude(checks, figures, arguments.json)


def attack(running: Target, arguments: argparse.Namespace) -> tuple[list[Check], dict[str, Any]]:
    """All four attacks; the checks and the figures."""
    bombs = [bomb for bomb in BOMBS if arguments.only in bomb.name]
    parts: dict[str, Part] = {
        "corpus": lambda: corpus(running.url, bombs, arguments.at_once, arguments.patience),
        "batch": lambda: batches(running.url),
        "pair": lambda: pair(running.url, arguments.patience),
    }
    checks: list[Check] = []
    figures: dict[str, Any] = {}
    for name, part in parts.items():
        exploded, beside, peak_mb = uvloop.run(_beside(running, part, arguments.rate))
        _report(name, exploded, beside, peak_mb)
        figures[name] = {
            "beside": beside.figures,
            "peak_mb": peak_mb,
            "bombs": [asdict(each) for each in exploded],
        }
        checks += beside.checks(name, share=_SHARE_ANSWERED, livez_seconds=_LIVEZ_SECONDS)
        checks += [
            exactly(f"{name}: wrong answers", sum(not each.is_right for each in exploded), 0),
            exactly(f"{name}: late answers", sum(not each.is_in_time for each in exploded), 0),
        ]
        if running.pid is not None:
            checks.append(at_most(f"{name}: peak", peak_mb, arguments.memory_mb, "MB"))
    if running.gateway is not None:
        checks += uvloop.run(stop(running))
    return checks, figures


async def corpus(url: str, bombs: Sequence[Bomb], at_once: int, patience: float) -> list[Exploded]:
    """Post each bomb, `at_once` at a time."""
    attacker = Client(url, source=ATTACKER)
    waiting = iter(bombs)

    async def post() -> list[Exploded]:
        return [_judge(bomb, await _post(attacker, bomb), patience) for bomb in waiting]

    done = await asyncio.gather(*(post() for _ in range(at_once)))
    attacker.close()
    return [each for some in done for each in some]


async def batches(url: str) -> list[Exploded]:
    """The batch requests, one after the other; each answers for its images within the deadline."""
    webp = BY_NAME["webp-38-bytes"].make()
    part = (
        b'--bomb\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n%b\r\n' % webp
    )
    request = request_bytes(
        "POST",
        "/classify/batch",
        part * 32 + b"--bomb--\r\n",
        "multipart/form-data; boundary=bomb",
        X_Request_Timeout_Ms=str(1000 * _BATCH_SECONDS),
    )
    attacker = Client(url, source=ATTACKER)
    answers = [await attacker.ask(request, timeout=90) for _ in range(_BATCH_REQUESTS)]
    attacker.close()
    return [
        Exploded(
            name="32 of webp-38-bytes",
            outcome=answer.outcome,
            seconds=round(answer.seconds, 2),
            wanted=f"200 or 413 in {_BATCH_SECONDS} s",
            is_right=answer.status in {200, 413},
            is_in_time=answer.seconds <= _BATCH_SECONDS,
        )
        for answer in answers
    ]


async def pair(url: str, patience: float) -> list[Exploded]:
    """The CPU bombs at once, three times."""
    bombs = [BY_NAME[name] for name in CPU_BOMBS]
    return [each for _ in range(3) for each in await corpus(url, bombs, len(bombs), patience)]


async def stop(running: Target) -> list[Check]:
    """SIGTERM while CPU bombs are decoded."""
    assert running.gateway is not None
    process = running.gateway.process
    attacker = Client(running.url, source=ATTACKER)
    posts = [asyncio.create_task(_post(attacker, BY_NAME[name])) for name in CPU_BOMBS]
    await asyncio.sleep(1.5)  # they are being decoded
    process.send(signal.SIGTERM)
    start = time.perf_counter()
    try:
        code: int | str = await asyncio.to_thread(process.wait, 2 * _DRAIN_SECONDS)
    except subprocess.TimeoutExpired:
        code = "still running"
    seconds = time.perf_counter() - start
    answers = await asyncio.gather(*posts)
    print(f"stop: bombs in flight: {[each.outcome for each in answers]}", file=sys.stderr)
    return [
        exactly("stop: exit code", code, 0),
        at_most("stop: SIGTERM to exit", seconds, _DRAIN_SECONDS + 1, "s"),
    ]


async def _post(attacker: Client, bomb: Bomb) -> Answer:
    return await attacker.ask(image_request(bomb.make()), timeout=90)


def _judge(bomb: Bomb, answer: Answer, patience: float) -> Exploded:
    return Exploded(
        name=bomb.name,
        outcome=answer.outcome,
        seconds=round(answer.seconds, 2),
        wanted=f"{' or '.join(map(str, sorted(bomb.statuses)))} in {bomb.seconds * patience:g} s",
        is_right=answer.status in bomb.statuses,
        is_in_time=answer.seconds <= patience * bomb.seconds,
    )


async def _beside(running: Target, part: Part, rate: float) -> tuple[list[Exploded], Beside, float]:
    """The attack with honest clients beside it; and the peak of memory in MB."""
    with PeakMemory(running.pid) if running.pid else nullcontext() as peak:
        async with Beside(running.url, rate=rate) as beside:
            await asyncio.sleep(_QUIET_SECONDS)
            exploded = await part()
            await asyncio.sleep(_QUIET_SECONDS)
    return exploded, beside, peak.bytes / MEGABYTE if peak else 0.0


def _report(name: str, exploded: Sequence[Exploded], beside: Beside, peak_mb: float) -> None:
    print(f"{name}: beside: {beside.figures}, peak {peak_mb:.0f} MB", file=sys.stderr, flush=True)
    wrong = [each for each in exploded if not (each.is_right and each.is_in_time)]
    if wrong:
        rows = [(each.name, each.outcome, each.seconds, each.wanted) for each in wrong]
        print(table(("bomb", "answer", "seconds", "wanted"), rows), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
