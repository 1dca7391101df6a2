"""The gateway's real admission, limit and batcher before a simulated decoder and model server.

Open loop: requests come when they are due, whatever became of those before. Run it in virtual time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.classify.admission import Admission
from app.classify.batcher import Batcher
from app.classify.concurrency import ConcurrencyLimit
from app.errors import DeadlineExceededError, GatewayError, OverloadedError

QUEUE_SECONDS = 0.2
_SLOTS = 2


@dataclass
class Model:
    """A model server that computes one batch at a time; may be changed while it runs."""

    fixed_seconds: float = 0.0
    item_seconds: float = 0.035

    def seconds(self, size: int) -> float:
        return self.fixed_seconds + self.item_seconds * size


@dataclass
class Outcome:
    """What became of one request."""

    due_at: float
    client: str
    seconds: float = 0.0
    result: str = "lost"


@dataclass
class Plant:
    """Requests go in by `offer`; what became of them is in `outcomes`."""

    model: Model
    decode_seconds: float = 0.002
    decoders: int = 2
    max_images: int = 512
    timeout_seconds: float = 10.0
    patience_seconds: float | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(7)  # noqa: S311 - arrivals, the same in every run
        self.clock = asyncio.get_running_loop().time
        self.batcher: Batcher[str, int, int] = Batcher(
            self._run,
            max_batch_size=32,
            max_batch_seconds=0.2,
            queue_seconds=QUEUE_SECONDS,
            slots=lambda _: _SLOTS,
            clock=self.clock,
            on_batch=self.batches.append,
        )
        self.limit = ConcurrencyLimit(
            most=self._most_images,
            floor=lambda: self.batcher.items_to_stay_busy,
            queue_seconds=QUEUE_SECONDS,
            clock=self.clock,
        )
        self.admission = Admission(self.limit, max_images=self.max_images, clock=self.clock)
        self._decoder = asyncio.Semaphore(self.decoders)
        self._server = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def _most_images(self) -> int:
        """As app.classification has it."""
        predicted = self.batcher.items_within(2 * QUEUE_SECONDS)
        return self.max_images if predicted is None else min(self.max_images, predicted)

    async def offer(self, per_second: float, seconds: float, *, client: str = "a") -> None:
        """Poisson arrivals for so long."""
        until = self.clock() + seconds
        while True:
            await asyncio.sleep(self.random.expovariate(per_second))
            if self.clock() >= until:
                return
            task = asyncio.ensure_future(self._request(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.limits.append((self.clock(), self.limit.images))

    async def ask_one_after_another(self, requests: int) -> None:
        """A client that waits for its answer before it asks again."""
        for _ in range(requests):
            await self._request("patient")

    async def finish(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _request(self, client: str) -> None:
        outcome = Outcome(self.clock(), client)
        self.outcomes.append(outcome)
        try:
            async with asyncio.timeout(self.patience_seconds):
                outcome.result = await self._classify(client)
        except TimeoutError:
            outcome.result = "left"
        outcome.seconds = self.clock() - outcome.due_at

    async def _classify(self, client: str) -> str:
        if self.admission.verdict(client) is not None:
            return "refused"
        await asyncio.sleep(0)  # a request is a task of its own, which starts in the next turn
        try:
            with self.admission.enter(client) as reservation:
                reservation.arrived()
                return await self._work()
        except DeadlineExceededError:
            return "late"
        except OverloadedError:
            return "dropped"
        except GatewayError:
            return "failed"

    async def _work(self) -> str:
        """As the classifier does it."""
        entered_at = self.clock()
        try:
            async with self._decoder:
                await asyncio.sleep(self.decode_seconds)
            batched = await self.batcher.submit(
                "lane", 1, deadline=entered_at + self.timeout_seconds
            )
        except (asyncio.CancelledError, OverloadedError) as error:
            waited = self.clock() - entered_at + getattr(error, "retry_after_seconds", 0.0)
            self.admission.observe(total_seconds=waited, worked_seconds=0.0)
            raise
        self.admission.observe(
            total_seconds=self.clock() - entered_at,
            worked_seconds=self.decode_seconds + batched.run_seconds,
        )
        return "answered"

    async def _run(self, _: str, items: Sequence[int], timeout_seconds: float) -> list[int]:
        try:
            async with asyncio.timeout(timeout_seconds), self._server:
                await asyncio.sleep(self.model.seconds(len(items)))
        except TimeoutError as error:
            raise DeadlineExceededError("slow") from error
        return list(items)

    def count(self, result: str, *, since: float = 0.0, client: str | None = None) -> int:
        return len(self.seconds(result, since=since, client=client))

    def seconds(self, result: str, *, since: float = 0.0, client: str | None = None) -> list[float]:
        """Times of those with that result that were due from then on, shortest first."""
        return sorted(
            each.seconds
            for each in self.outcomes
            if each.result == result and each.due_at >= since and client in {None, each.client}
        )


def quantile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]
