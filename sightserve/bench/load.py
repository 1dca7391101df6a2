"""Closed loops, which find out how much a service answers, and open ones, which find out how fast.

In a closed loop every client waits for its answer before it asks again, so a service that stalls is
simply asked less. In an open loop requests are due at fixed times, whatever became of those before,
and a request's time counts from when it was due (no "coordinated omission": a stall of a second is
in the figures as often as requests would have come in that second).
"""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sightserve.bench.latencies import summary_ms

Ask = Callable[[int], Awaitable[str]]
"""Sends the request of that number; what was wrong with the answer, empty if nothing."""

_MAX_IN_FLIGHT: Final = 512
"""In an open loop. More wait here, and their times count on. (select(2) knows 1024 files.)"""


@dataclass(slots=True)
class Sample:
    """What a loop has seen."""

    seconds: float = 0.0
    """That were counted: without warming up and without waiting for the last answers."""
    latencies: list[float] = field(default_factory=list)
    """Of right answers that were counted, in seconds."""
    failures: Counter[str] = field(default_factory=Counter)
    """By kind, of all requests."""
    requests: int = 0
    """All that were sent, counted or not."""

    @property
    def requests_per_second(self) -> float:
        """Right answers."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Figures, without the single times."""
        return {
            "n": len(self.latencies),
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "requests_per_second": round(self.requests_per_second, 3),
            "latency_ms": summary_ms(self.latencies),
            "failures": dict(self.failures),
        }


async def closed_loop(ask: Ask, clients: int, seconds: float, warm_seconds: float = 0.0) -> Sample:
    """So many clients, each with one request at a time.

    Args:
        ask: sends one request.
        clients: how many at a time.
        seconds: that are counted.
        warm_seconds: that go before and are not.
    """
    sample = Sample(seconds=seconds)
    clock = asyncio.get_running_loop().time
    start = clock() + warm_seconds
    end = start + seconds

    async def client() -> None:
        while (sent := clock()) < end:
            number, sample.requests = sample.requests, sample.requests + 1
            failure = await ask(number)
            if failure:
                sample.failures[failure] += 1
                # One that refuses at once would be asked a hundred thousand times a second.
                await asyncio.sleep(0.01)
            elif start <= (now := clock()) < end:
                sample.latencies.append(now - sent)

    await asyncio.gather(*(client() for _ in range(clients)))
    return sample


async def open_loop(ask: Ask, rate: float, seconds: float, warm_seconds: float = 0.0) -> Sample:
    """Requests that are due every 1/rate seconds, and timed from then.

    Args:
        ask: sends one request.
        rate: requests per second.
        seconds: that are counted.
        warm_seconds: that go before and are not.
    """
    sample = Sample(seconds=seconds)
    clock = asyncio.get_running_loop().time
    room = asyncio.Semaphore(_MAX_IN_FLIGHT)
    warm = int(rate * warm_seconds)
    start = clock()

    async def one(number: int, due: float) -> None:
        async with room:
            failure = await ask(number)
        if failure:
            sample.failures[failure] += 1
        elif number >= warm:
            sample.latencies.append(clock() - due)

    async with asyncio.TaskGroup() as group:
        for number in range(warm + int(rate * seconds)):
            due = start + number / rate
            if (wait := due - clock()) > 0:
                await asyncio.sleep(wait)
            sample.requests += 1
            group.create_task(one(number, due))
    return sample


def event_loop() -> asyncio.AbstractEventLoop:
    """One that wakes up to the microsecond: epoll(7) is a millisecond late, select(2) is not."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
