"""The flow of the command, readable from top to bottom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from protocol.version import running_version
from sightserve.bench.bodies import Body, request_of
from sightserve.bench.errors import BenchError
from sightserve.bench.http import Client, Target
from sightserve.bench.images import read_images
from sightserve.bench.load import Sample, closed_loop, event_loop, open_loop
from sightserve.bench.service import Judge, Picture, asker, probe

SCHEMA_VERSION: Final = 1
_WARM_SHARE: Final = 0.1
_MOST_WARM_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command was told."""

    url: str
    images: Sequence[Path]
    body: Body
    clients: Sequence[int]
    loads: Sequence[int]
    """Percent of what the closed loops found the service to answer."""
    seconds: float
    timeout: float
    api_key: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the test, before it begins."""

    name: str
    seconds: float


def load_test(plan: Plan, tell: Callable[[Step], None]) -> dict[str, Any]:
    """Ask each picture once, then closed loops, then open ones.

    Args:
        plan: what to do.
        tell: is called before each part.

    Returns:
        Figures, as the page on `sightserve bench` describes them.

    Raises:
        BenchError: nothing could be measured; it says why.
    """
    target = Target.of(plan.url)
    images = read_images(plan.images)
    pictures = pictures_of(target, images, plan.body, plan.api_key)
    with asyncio.Runner(loop_factory=event_loop) as runner:
        return runner.run(_Test(plan, target, pictures, tell).run())


def pictures_of(
    target: Target, images: Sequence[tuple[str, bytes]], body: Body, api_key: str | None = None
) -> list[Picture]:
    """Files as requests."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return [Picture(name, request_of(target, data, body, headers)) for name, data in images]


class _Test:
    def __init__(
        self,
        plan: Plan,
        target: Target,
        pictures: Sequence[Picture],
        tell: Callable[[Step], None],
    ) -> None:
        self._plan = plan
        self._target = target
        self._pictures = pictures
        self._tell = tell

    async def run(self) -> dict[str, Any]:
        plan = self._plan
        self._tell(Step("each picture once", 0))
        await probe(self._target, self._pictures, plan.timeout)
        closed = [await self._closed(clients) for clients in plan.clients]
        capacity = max((each["requests_per_second"] for each in closed), default=0.0)
        if not capacity:
            kinds = sorted({kind for each in closed for kind in each["failures"]})
            raise BenchError(f"{self._target.url}: no right answer under load: {', '.join(kinds)}")
        opened = [await self._open(load, capacity * load / 100) for load in plan.loads]
        sizes = [len(each.request) for each in self._pictures]
        return {
            "schema_version": SCHEMA_VERSION,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "sightserve": running_version(),
            "url": self._target.url,
            "body": plan.body,
            "images": len(sizes),
            "mean_request_bytes": round(sum(sizes) / len(sizes)),
            "capacity_requests_per_second": capacity,
            "closed_loop": closed,
            "open_loop": opened,
        }

    async def _closed(self, clients: int) -> dict[str, Any]:
        self._tell(Step(f"{clients} clients", self._plan.seconds))
        load = Load(self._target, self._pictures, self._plan.timeout)
        sample = await load.closed(clients, self._plan.seconds)
        return {"clients": clients, **sample.to_json()}

    async def _open(self, percent: int, rate: float) -> dict[str, Any]:
        self._tell(Step(f"{percent} % load", self._plan.seconds))
        load = Load(self._target, self._pictures, self._plan.timeout)
        sample = await load.open(rate, self._plan.seconds)
        return {"load_percent": percent, "rate": round(rate, 3), **sample.to_json()}


@dataclass(frozen=True, slots=True)
class Load:
    """Loops against one service, each on connections of its own."""

    target: Target
    pictures: Sequence[Picture]
    timeout: float
    judge: Judge | None = None

    async def closed(self, clients: int, seconds: float) -> Sample:
        """See `closed_loop`; a tenth more goes before, to warm up."""
        client = Client(self.target)
        ask = asker(client, self.pictures, self.timeout, self.judge)
        try:
            return await closed_loop(ask, clients, seconds, _warm(seconds))
        finally:
            client.close()

    async def open(self, rate: float, seconds: float) -> Sample:
        """See `open_loop`; a tenth more goes before, to warm up."""
        client = Client(self.target)
        ask = asker(client, self.pictures, self.timeout, self.judge)
        try:
            return await open_loop(ask, rate, seconds, _warm(seconds))
        finally:
            client.close()


def _warm(seconds: float) -> float:
    return min(_MOST_WARM_SECONDS, seconds * _WARM_SHARE)


def seconds_of(plan: Plan) -> float:
    """About how long it will take."""
    return (len(plan.clients) + len(plan.loads)) * (plan.seconds + _warm(plan.seconds))


def has_failures(result: dict[str, Any]) -> bool:
    """Whether any request of any loop failed."""
    return any(each["failures"] for name in ("closed_loop", "open_loop") for each in result[name])
