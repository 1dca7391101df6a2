r"""Half an hour of good and bad clients together: does anything grow, does any good request fail?

    python -m tests.load.soak [--minutes 30]

Good: photos at a steady rate on kept connections, each answered. Bad, all the time: bombs, damaged
images, clients that leave before their answer, slow bodies, connections that say nothing, forms
that never end, paths that do not exist, garbage. Each minute is a line: memory of all processes,
descriptors, threads, photos answered, their p99. Bars: no 5xx and no refusal for a photo (99.9 %),
memory at the end within 10 % and 20 MB of that after the warm-up, descriptors and threads back.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

from tests.load import process_tree
from tests.load.beside import Beside
from tests.load.client import Answer, Client, image_request, percentile
from tests.load.connections import ATTACKS
from tests.load.mutations import case, seeds
from tests.load.pictures import photos
from tests.load.report import MEGABYTE, Check, at_least, at_most, conclude, exactly, table
from tests.load.running import Target, stop_on_sigterm, target
from tests.support.bombs import BOMBS
from tests.support.processes import ROOT

_SMALL_ATTACKS = (
    "announced_lengths", "slow_bodies", "slow_heads", "idle_sockets", "flood", "header_lines",
    "pipeline",
)  # fmt: skip
_ATTACK_SCALE = 0.05
_SETTLE_SECONDS = 30.0
_WARM_UP_SHARE = 1 / 6
"""Of the time: five minutes of thirty."""
_SPARE = 10
"""Descriptors and the like that a pool may keep for the next time."""
_LEAVING_SECONDS = (0.001, 0.005, 0.02, 0.1)


@dataclass(frozen=True)
class Minute:
    """One line."""

    seconds: int
    memory_mb: float
    processes: int
    descriptors: int
    threads: int
    photos: int
    answered: int
    server_errors: int
    p99_ms: float
    livez_max_ms: float


def main() -> None:
    """Read the command line, soak, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path, default=ROOT, help="working tree to run")
    parser.add_argument("--model", default="digits", choices=["digits", "photo", "fake"])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=10.0, help="photos a second")
    parser.add_argument("--bad-rate", type=float, default=10.0, help="bad requests a second")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    stop_on_sigterm()
    with target(model=arguments.model, tree=arguments.tree) as running:
        checks, figures = soak(
            running, minutes=arguments.minutes, rate=arguments.rate, bad_rate=arguments.bad_rate
        )
    conclude(checks, figures, arguments.json)


def soak(
    running: Target, *, minutes: float, rate: float, bad_rate: float
) -> tuple[list[Check], dict[str, Any]]:
    """All clients together for so long; the checks and the figures."""
    assert running.pid is not None
    photos(), seeds()  # made now, not while clients wait
    before = process_tree.usage(running.pid)
    lines, beside, bad = uvloop.run(_soak(running, 60 * minutes, rate, bad_rate))
    end = _settled(running.pid, before)
    rows = [tuple(asdict(each).values()) for each in lines]
    print(table(tuple(asdict(lines[0])), rows))
    for kind, outcomes in sorted(bad.items()):
        print(f"{kind}: {dict(outcomes)}")
    # The least of some lines: a bomb may be in memory while another is written.
    early = lines[int(len(lines) * _WARM_UP_SHARE) : len(lines) // 2]
    warm_mb = min(each.memory_mb for each in early)
    answered = sum(each.answered for each in lines) / max(1, sum(each.photos for each in lines))
    checks = [
        at_least("share of photos answered", answered, 0.999),
        exactly("photos answered 5xx", sum(each.server_errors for each in lines), 0),
        at_most("memory at the end", end.pss_bytes / MEGABYTE, 1.1 * warm_mb + 20, "MB"),
        at_most("descriptors more than at the start", end.descriptors - before.descriptors, _SPARE),
        at_most("threads more than at the start", end.threads - before.threads, _SPARE),
        at_most("processes more than at the start", end.processes - before.processes, _SPARE),
        exactly("/readyz", " ".join(sorted({each.outcome for each in beside.readyz})), "200"),
    ]
    figures = {
        "minutes": [asdict(each) for each in lines],
        "beside": beside.figures,
        "bad": bad,
        "before": asdict(before),
        "end": asdict(end),
    }
    return checks, figures


async def _soak(
    running: Target, seconds: float, rate: float, bad_rate: float
) -> tuple[list[Minute], Beside, dict[str, Counter[str]]]:
    bad = {name: Counter[str]() for name in (*_BAD, *_SMALL_ATTACKS)}
    lines: list[Minute] = []
    interval_seconds = min(60.0, seconds / 12)
    async with Beside(running.url, rate=rate) as beside:
        attackers = [
            asyncio.create_task(_bad_clients(running.url, bad_rate, bad)),
            asyncio.create_task(_attackers(running.url, bad)),
        ]
        start = time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds:
            seen = len(beside.answers), len(beside.livez)
            await asyncio.sleep(interval_seconds)
            assert running.pid is not None
            usage = await asyncio.to_thread(process_tree.usage, running.pid)
            lines.append(_line(passed, usage, beside.answers[seen[0] :], beside.livez[seen[1] :]))
            print(lines[-1], file=sys.stderr, flush=True)
        for task in attackers:
            task.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)
    return lines, beside, bad


def _line(
    passed: float, usage: process_tree.Usage, answers: list[Answer], livez: list[Answer]
) -> Minute:
    good = [each.seconds for each in answers if each.status == 200]
    return Minute(
        seconds=round(passed),
        memory_mb=round(usage.pss_bytes / MEGABYTE, 1),
        processes=usage.processes,
        descriptors=usage.descriptors,
        threads=usage.threads,
        photos=len(answers),
        answered=len(good),
        server_errors=sum(each.status >= 500 for each in answers),
        p99_ms=round(1000 * percentile(good, 99), 1),
        livez_max_ms=round(1000 * max((each.seconds for each in livez), default=0), 1),
    )


def _settled(pid: int, before: process_tree.Usage) -> process_tree.Usage:
    """Usage once the connections are closed, or what it is after a while."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        now = process_tree.usage(pid)
        if now.descriptors <= before.descriptors + _SPARE or time.monotonic() > deadline:
            return now
        time.sleep(0.5)


async def _bad_clients(url: str, rate: float, bad: dict[str, Counter[str]]) -> None:
    """One bad request after the other, each kind in turn, at the rate; they overlap."""
    client = Client(url, source="127.0.0.2")
    rng = random.Random(1)  # noqa: S311
    kinds = itertools.cycle(_BAD.items())
    try:
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                name, ask = next(kinds)
                group.create_task(_counted(ask(client, rng, number), bad[name]))
                await asyncio.sleep(1 / rate)
    finally:
        client.close()


async def _counted(asking: Awaitable[Answer], outcomes: Counter[str]) -> None:
    outcomes[(await asking).outcome] += 1


async def _attackers(url: str, bad: dict[str, Counter[str]]) -> None:
    for name in itertools.cycle(_SMALL_ATTACKS):
        bad[name][await ATTACKS[name](url, _ATTACK_SCALE)] += 1
        await asyncio.sleep(1.0)


def _bomb(client: Client, rng: random.Random, number: int) -> Awaitable[Answer]:
    # A tenth of them: more would keep every processor busy all the time.
    if number % 100 < 90:
        return _mutated(client, rng, number)
    return client.ask(image_request(rng.choice(BOMBS).make()), timeout=30)


def _mutated(client: Client, rng: random.Random, number: int) -> Awaitable[Answer]:
    made = case(rng.randrange(1000), number, raw_share=0)
    return client.ask(made.request, timeout=30)


def _leaving(client: Client, rng: random.Random, _number: int) -> Awaitable[Answer]:
    request = image_request(rng.choice(photos()))
    return client.ask(request, timeout=rng.choice(_LEAVING_SECONDS))


def _unknown(client: Client, rng: random.Random, _number: int) -> Awaitable[Answer]:
    return client.ask(
        f"GET /x{rng.random()} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode(), timeout=30
    )


def _garbage(client: Client, rng: random.Random, _number: int) -> Awaitable[Answer]:
    return client.ask(rng.randbytes(200) + b"\r\n\r\n", timeout=5)


def _impatient(client: Client, rng: random.Random, _number: int) -> Awaitable[Answer]:
    return client.ask(image_request(rng.choice(photos()), X_Request_Timeout_Ms="5"), timeout=30)


_BAD: dict[str, Callable[[Client, random.Random, int], Awaitable[Answer]]] = {
    "bombs": _bomb,
    "mutated": _mutated,
    "leaving": _leaving,
    "unknown paths": _unknown,
    "garbage": _garbage,
    "impatient": _impatient,
}


if __name__ == "__main__":
    main()
