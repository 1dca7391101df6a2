"""One measurement of one contender: wake it, load it, count its CPU and memory, stop it again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bench.race.client import Order, measured
from bench.race.contenders import Contender, Service
from bench.race.prepare import Prepared
from bench.race.processes import StartError
from sightserve.bench.bodies import Body
from sightserve.bench.output import failures_text

USUAL_SIZE = "500x375"
_AWAKE_SECONDS = 0.3
_AWAKE_CLIENTS = 4
_ATTEMPTS = 6
_LONGER = 5


@dataclass(frozen=True)
class Runner:
    """A contender that is up, with the setting that was fastest."""

    contender: Contender
    service: Service
    setting: Mapping[str, str]


@dataclass(frozen=True)
class What:
    """What is measured."""

    phase: Literal["trial", "closed", "open", "sizes", "bodies"]
    mode: Literal["closed", "open"]
    amount: float
    """Clients, or requests per second."""
    seconds: float
    round: int = 0
    load: int = 0
    """Percent of the capacity, where there is one."""
    size: str = USUAL_SIZE
    body: Body | None = None
    """Another than the contender's own."""


def order_of(runner: Runner, prepared: Prepared, what: What) -> Order:
    """For the load generator."""
    pictures = prepared.pictures[what.size]
    return Order(
        url=runner.service.url,
        body=what.body or runner.contender.body,
        files=[str(prepared.folder / "pictures" / each["file"]) for each in pictures],
        right=[each["right"] for each in pictures],
        mode=what.mode,
        amount=what.amount,
        seconds=what.seconds,
    )


def measure(runner: Runner, prepared: Prepared, what: What) -> dict[str, Any]:
    """The measurement as JSON; `void` says why it counts for nothing, if it does not.

    Raises:
        StartError: a process of the contender has ended.
    """
    groups = runner.service.groups
    groups.resume()
    try:
        _awake(runner, prepared)
        before = groups.cpu_seconds()
        seen = measured(order_of(runner, prepared, what))
        if not seen["n"] and not seen["failures"]:  # slower than a measurement is long
            longer = replace(what, seconds=_LONGER * what.seconds)
            before = groups.cpu_seconds()
            seen = measured(order_of(runner, prepared, longer))
        after = groups.cpu_seconds()
        groups.check()
        resident = groups.resident_mb()
    finally:
        groups.suspend()
    requests = max(1, seen["requests"])
    client_cpu = seen.pop("client_cpu_seconds")
    return {
        "contender": runner.contender.key,
        "phase": what.phase,
        "size": what.size,
        "body": what.body or runner.contender.body,
        "mode": what.mode,
        "clients": int(what.amount) if what.mode == "closed" else None,
        "rate": round(what.amount, 3) if what.mode == "open" else None,
        "load": what.load or None,
        "round": what.round,
        **seen,
        "cpu_ms": {
            role: round(1000 * (used - before.get(role, 0.0)) / requests, 4)
            for role, used in after.items()
        },
        "client_cpu_ms": round(1000 * client_cpu / requests, 4),
        "resident_mb": {role: round(size, 1) for role, size in resident.items()},
        "void": void(seen),
    }


def void(seen: Mapping[str, Any]) -> str:
    """Why what was seen counts for nothing; empty if it counts.

    A contender that refuses a part is fast with the rest, and a wrong answer is worth nothing.
    """
    if seen["failures"]:
        return failures_text(seen["failures"])
    return "" if seen["n"] else "no answer in time"


def _awake(runner: Runner, prepared: Prepared) -> None:
    """After having been stopped its connections may be stale, and timers that ran out fire at once.

    Raises:
        StartError: it does not answer again.
    """
    what = What("trial", "closed", _AWAKE_CLIENTS, _AWAKE_SECONDS)
    for _ in range(_ATTEMPTS):
        seen = measured(order_of(runner, prepared, what))
        if not seen["failures"]:
            return
        runner.service.groups.check()
        time.sleep(0.5)
    raise StartError(f"does not answer: {failures_text(seen['failures'])}")
