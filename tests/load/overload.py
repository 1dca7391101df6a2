"""More requests than can be answered, open loop: what is answered all the same, and how soon.

    python -m tests.load.overload --seconds 60                    # 5 ms per image: 200 a second
    python -m tests.load.overload --item-ms 35 --factors 1,3 --seconds 60     # as ResNet50
    python -m tests.load.overload --patience 1                    # clients that hang up

The model server is a fake that takes a fixed time for each image, so that the gateway is what is
tested. Requests come when they are due, from eight addresses; every latency counts from then.
Bars, at the largest factor: goodput at least 90 % of the peak; p99 of answers at most four times
that of an idle gateway plus 0.5 s; p99 of refusals under 0.1 s; everybody answered again 2 s after
the load is gone; /readyz 200 throughout; a refusal costs the gateway at most 0.1 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import uvloop

from tests.load import process_tree
from tests.load.client import (
    Answer,
    Client,
    image_request,
    open_loop,
    percentile,
    poisson,
    request_bytes,
)
from tests.load.pictures import photos
from tests.load.report import Check, at_least, at_most, conclude, exactly, table
from tests.load.running import Target, fake_model_server, gateway
from tests.support.pictures import encoded
from tests.support.processes import ROOT

_ADDRESSES = [f"127.0.0.{last}" for last in range(11, 19)]
_CALM_SHARE = 0.5
_RECOVERY_SHARE = 0.7
_RECOVERY_SECONDS = 6.0
_READYZ_INTERVAL_SECONDS = 0.5
_REFUSALS_PER_SECOND = 1500
_REFUSAL_SECONDS = 5.0
_EDGE_SECONDS = 2.0
"""Goodput counts from here on: first what was in progress before has to go."""


@dataclass(frozen=True)
class Phase:
    """One load for some time."""

    name: str
    offered_per_second: float
    goodput_per_second: float
    answered_p50_ms: float
    answered_p99_ms: float
    refused_p99_ms: float
    outcomes: dict[str, int]
    readyz: dict[str, int]
    readyz_max_ms: float
    cpu_share: float
    """Of one core, all of the gateway's processes; the light load after it included."""


def main() -> None:
    """Read the command line, load, judge."""
    arguments = _parser().parse_args()
    settings = dict(each.split("=", 1) for each in arguments.set)
    factors = [float(each) for each in arguments.factors.split(",")]
    with ExitStack() as stack:
        if arguments.url:
            running = Target(arguments.url.rstrip("/"), None)
        else:
            server = stack.enter_context(fake_model_server(arguments.item_ms / 1000))
            running = stack.enter_context(gateway(server, "fake", arguments.tree, **settings))
        phases, recovery_seconds = uvloop.run(_load(running, factors, arguments))
    refusal_ms = 0.0
    if not arguments.url:
        refusal_ms = _refusal_cost(arguments.tree, settings, _request(arguments))
    titles = (
        "load", "offered/s", "goodput/s", "p50 ms", "p99 ms", "refused p99 ms", "outcomes",
        "/readyz", "max ms", "CPU",
    )  # fmt: skip
    print(table(titles, [tuple(asdict(each).values()) for each in phases]))
    print(f"recovery {recovery_seconds:.1f} s; a refusal costs {refusal_ms:.3f} ms of CPU")
    figures = {
        "phases": [asdict(each) for each in phases],
        "recovery_seconds": recovery_seconds,
        "refusal_ms": refusal_ms,
    }
    conclude(_judge(phases, recovery_seconds, refusal_ms), figures, arguments.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path, default=ROOT, help="working tree to run")
    parser.add_argument("--url", help="a gateway that runs already; say its capacity by --item-ms")
    parser.add_argument("--item-ms", type=float, default=5.0, help="the model's time per image")
    parser.add_argument("--factors", default="1,2,5,10", help="of the model's capacity")
    parser.add_argument("--seconds", type=float, default=15.0, help="for each load")
    parser.add_argument("--patience", type=float, default=30.0, help="clients leave after so long")
    parser.add_argument("--body", default="small", choices=["small", "photo"], help="77 B or 51 kB")
    parser.add_argument("--set", action="append", default=[], metavar="GATEWAY_NAME=VALUE")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser


async def _load(
    running: Target, factors: list[float], arguments: argparse.Namespace
) -> tuple[list[Phase], float]:
    capacity = 1000 / arguments.item_ms
    clients = [Client(running.url, source=address) for address in _ADDRESSES]
    request = _request(arguments)

    async def ask(number: int, due: float) -> Answer:
        client = clients[number % len(clients)]
        answer = await client.ask(request, due=due, timeout=arguments.patience)
        return replace(answer, head=b"", body=b"")

    async def phase(name: str, rate: float, seconds: float) -> tuple[Phase, float]:
        """The load, then a light one at once; what the load did, and the seconds to recover."""
        probes: list[Answer] = []
        prober = asyncio.create_task(_probe(running.url, probes))
        before = process_tree.cpu_seconds(running.pid) if running.pid else 0.0
        light = poisson(_RECOVERY_SHARE * capacity, _RECOVERY_SECONDS)
        answers = await open_loop(
            ask, chain(poisson(rate, seconds), (seconds + offset for offset in light))
        )
        after = process_tree.cpu_seconds(running.pid) if running.pid else 0.0
        prober.cancel()
        await asyncio.gather(prober, return_exceptions=True)
        print(f"{name} done", file=sys.stderr, flush=True)
        start = min(each.due for each in answers)
        loaded = [each for each in answers if each.due < start + seconds]
        cpu_share = (after - before) / (max(each.done for each in answers) - start)
        recovery = _recovery_seconds(answers, start + seconds)
        return _phase(name, rate, seconds, loaded, probes, cpu_share), recovery

    await phase("warm-up", _CALM_SHARE * capacity, _EDGE_SECONDS)
    calm, _ = await phase(f"calm x{_CALM_SHARE}", _CALM_SHARE * capacity, arguments.seconds)
    phases = [calm]
    recovery_seconds = 0.0
    for factor in factors:
        loaded, recovery = await phase(f"x{factor:g}", factor * capacity, arguments.seconds)
        recovery_seconds = max(recovery_seconds, recovery)
        phases.append(loaded)
    for client in clients:
        client.close()
    return phases, recovery_seconds


def _recovery_seconds(answers: list[Answer], since: float) -> float:
    """From then on, until 99 % of those who ask within a second are answered."""
    later = [each for each in answers if each.due >= since]
    for tenth in range(round(10 * (_RECOVERY_SECONDS - 1))):
        begin = since + tenth / 10
        second = [each.status == 200 for each in later if begin <= each.due < begin + 1]
        if sum(second) >= 0.99 * len(second):
            return tenth / 10
    return _RECOVERY_SECONDS


def _request(arguments: argparse.Namespace) -> bytes:
    grey = encoded(np.full((8, 8, 3), 128, np.uint8), "PNG")
    return image_request(photos(1)[0] if arguments.body == "photo" else grey)


def _phase(
    name: str,
    rate: float,
    seconds: float,
    answers: list[Answer],
    probes: list[Answer],
    cpu_share: float,
) -> Phase:
    start = min(each.due for each in answers)
    good = [each for each in answers if each.status == 200]
    steady = [each for each in good if _EDGE_SECONDS <= each.done - start < seconds]
    refused = [each.seconds for each in answers if each.status == 429]
    return Phase(
        name=name,
        offered_per_second=round(rate, 1),
        goodput_per_second=round(len(steady) / max(1e-9, seconds - _EDGE_SECONDS), 1),
        answered_p50_ms=_ms(percentile([each.seconds for each in good], 50)),
        answered_p99_ms=_ms(percentile([each.seconds for each in good], 99)),
        refused_p99_ms=_ms(percentile(refused, 99)),
        outcomes=dict(Counter(each.outcome for each in answers)),
        readyz=dict(Counter(each.outcome for each in probes)),
        readyz_max_ms=_ms(max((each.seconds for each in probes), default=0.0)),
        cpu_share=round(cpu_share, 2),
    )


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


async def _probe(url: str, probes: list[Answer]) -> None:
    """As a kubelet: a new connection each time."""
    client = Client(url, keeps_alive=False)
    while True:
        probes.append(await client.ask(request_bytes("GET", "/readyz"), timeout=3.0))
        await asyncio.sleep(_READYZ_INTERVAL_SECONDS)


def _refusal_cost(tree: Path, settings: dict[str, str], request: bytes) -> float:
    """Milliseconds of the gateway's processor time for a request that is refused.

    One place, and a model that takes a second for each image: all but one a second are refused.
    """
    with (
        fake_model_server(1.0) as server,
        gateway(server, "fake", tree, **{**settings, "GATEWAY_MAX_QUEUE": "1"}) as running,
    ):
        return uvloop.run(_flood(running, request))


async def _flood(running: Target, request: bytes) -> float:
    assert running.pid is not None
    client = Client(running.url)
    before = process_tree.cpu_seconds(running.pid)
    answers = await open_loop(
        lambda _, due: client.ask(request, due=due),
        poisson(_REFUSALS_PER_SECOND, _REFUSAL_SECONDS),
    )
    seconds = process_tree.cpu_seconds(running.pid) - before
    client.close()
    return 1000 * seconds / sum(each.status == 429 for each in answers)


def _judge(phases: list[Phase], recovery_seconds: float, refusal_ms: float) -> list[Check]:
    calm, worst = phases[0], phases[-1]
    peak = max(each.goodput_per_second for each in phases)
    not_ready = sum(
        count for each in phases for outcome, count in each.readyz.items() if outcome != "200"
    )
    return [
        at_least(f"goodput at {worst.name}", worst.goodput_per_second / peak, 0.9, "of the peak"),
        at_most(
            f"p99 of answers at {worst.name}",
            worst.answered_p99_ms,
            4 * calm.answered_p99_ms + 500,
            "ms",
        ),
        at_most(f"p99 of refusals at {worst.name}", worst.refused_p99_ms, 100, "ms"),
        at_most("recovery", recovery_seconds, 2, "s"),
        exactly("/readyz other than 200", not_ready, 0),
        at_most("a refusal", refusal_ms, 0.1, "ms of CPU"),
    ]


if __name__ == "__main__":
    main()
