"""Honest clients beside an attack: photos at a steady rate, /livez and /readyz polled.

async with Beside(url, rate=10) as beside:
    ...  # the attack
beside.share_answered, beside.slowest_livez_seconds

They run in a process of their own: an attacker that is busy must not look like a slow gateway.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import uvloop

from tests.load.client import Answer, Client, image_request, percentile, request_bytes
from tests.load.pictures import photos
from tests.load.report import Check, at_least, at_most, exactly

_LIVEZ_SECONDS = 0.1
_READYZ_SECONDS = 1.0  # a kubelet asks less often
_REPORT_SECONDS = 0.5
_PATIENCE_SECONDS = 30.0

Seen = dict[str, list[Answer]]
_KINDS = ("photo", "livez", "readyz")


class Beside:
    """What honest clients and probes saw while the block ran; every request is waited for."""

    def __init__(self, url: str, *, rate: float, source: str = "127.0.0.1") -> None:
        context = multiprocessing.get_context("spawn")  # asyncio and threads are not forked
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_run, args=(theirs, url, rate, source), daemon=True, name="beside"
        )
        self._theirs = theirs
        self._ended = asyncio.Event()
        self._seen: Seen = {kind: [] for kind in _KINDS}

    async def __aenter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        await asyncio.to_thread(self._pipe.recv)  # ready
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._read)
        self._pipe.send("go")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # Ctrl-C ended it before us
            self._pipe.send("stop")
        await self._ended.wait()
        await asyncio.to_thread(self._process.join)
        self._pipe.close()
        self._process.close()

    @property
    def answers(self) -> list[Answer]:
        """Those to photos so far."""
        return self._seen["photo"]

    @property
    def livez(self) -> list[Answer]:
        return self._seen["livez"]

    @property
    def readyz(self) -> list[Answer]:
        return self._seen["readyz"]

    @property
    def share_answered(self) -> float:
        """Photos with status 200, of all that were sent."""
        return sum(each.status == 200 for each in self.answers) / max(1, len(self.answers))

    @property
    def slowest_livez_seconds(self) -> float:
        return max((each.seconds for each in self.livez), default=0.0)

    @property
    def figures(self) -> dict[str, Any]:
        good = [each.seconds for each in self.answers if each.status == 200]
        return {
            "photos": len(self.answers),
            "outcomes": dict(Counter(each.outcome for each in self.answers)),
            "p50_ms": round(1000 * percentile(good, 50)),
            "p99_ms": round(1000 * percentile(good, 99)),
            "livez_max_ms": round(1000 * self.slowest_livez_seconds),
            "livez": dict(Counter(each.outcome for each in self.livez)),
            "readyz": dict(Counter(each.outcome for each in self.readyz)),
        }

    def checks(self, name: str, *, share: float, livez_seconds: float) -> list[Check]:
        """The claims that hold beside any attack."""
        return [
            at_least(f"{name}: share of photos answered", self.share_answered, share),
            at_most(f"{name}: slowest /livez", self.slowest_livez_seconds, livez_seconds, "s"),
            exactly(f"{name}: /livez", _outcomes(self.livez), "200"),
            exactly(f"{name}: /readyz", _outcomes(self.readyz), "200"),
        ]

    def _read(self) -> None:
        try:
            more: Seen = self._pipe.recv()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._ended.set()
            return
        for kind, answers in more.items():
            self._seen[kind] += answers


def _outcomes(answers: Sequence[Answer]) -> str:
    return " ".join(sorted({each.outcome for each in answers}))


def _run(pipe: Connection, url: str, rate: float, source: str) -> None:
    """The other process."""
    requests = [image_request(data) for data in photos()]
    pipe.send("ready")
    pipe.recv()
    uvloop.run(_Asking(pipe, url, source).run(requests, rate))
    pipe.close()


class _Asking:
    def __init__(self, pipe: Connection, url: str, source: str) -> None:
        self._pipe = pipe
        self._client = Client(url, source=source)
        self._prober = Client(url, source=source, keeps_alive=False)  # as a kubelet asks
        self._seen: Seen = {kind: [] for kind in _KINDS}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, requests: Sequence[bytes], rate: float) -> None:
        loops = [
            asyncio.create_task(each)
            for each in (
                self._ask("photo", self._client, requests, 1 / rate),
                self._ask("livez", self._prober, _get("/livez"), _LIVEZ_SECONDS),
                self._ask("readyz", self._prober, _get("/readyz"), _READYZ_SECONDS),
            )
        ]
        while not self._pipe.poll():
            await asyncio.sleep(_REPORT_SECONDS)
            self._report()
        self._pipe.recv()  # what was sent must be read, or closing would reset the pipe
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await asyncio.gather(*self._tasks)
        self._report()

    async def _ask(
        self, kind: str, client: Client, requests: Sequence[bytes], interval_seconds: float
    ) -> None:
        start = time.perf_counter()
        for number in range(1 << 62):
            due = start + number * interval_seconds
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asking = client.ask(
                requests[number % len(requests)], due=due, timeout=_PATIENCE_SECONDS
            )
            task = asyncio.create_task(self._keep(kind, asking))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _keep(self, kind: str, asking: Coroutine[Any, Any, Answer]) -> None:
        answer = await asking
        self._seen[kind].append(replace(answer, head=b"", body=b""))

    def _report(self) -> None:
        self._pipe.send(self._seen)
        self._seen = {kind: [] for kind in _KINDS}


def _get(path: str) -> list[bytes]:
    return [request_bytes("GET", path)]
