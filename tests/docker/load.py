"""An open-loop load: requests leave on time whether or not answers come, as from many clients."""

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

_THREADS = 48
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Sample:
    """One request. Times are time.monotonic(); status 0: no answer, `error` says why."""

    url: str
    sent: float
    done: float
    status: int
    version: int | None = None
    label: str | None = None
    retry_after: str | None = None
    error: str = ""

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300


class Load:
    """`with Load(urls, png, per_second=20) as load: ...; load.samples` afterwards."""

    def __init__(self, urls: Sequence[str], png: bytes, *, per_second: float) -> None:
        self._urls = itertools.cycle(urls)
        self._png = png
        self._interval_seconds = 1 / per_second
        self._stopped = threading.Event()
        self._samples: list[Sample] = []
        self._pool = ThreadPoolExecutor(_THREADS)
        # A connection per request: a kept one that its server closes just then proves nothing.
        self._client = httpx.Client(
            timeout=_TIMEOUT_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"Connection": "close"},
            trust_env=False,
        )
        self._clock = threading.Thread(target=self._tick)

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more, wait for what is under way."""
        self._stopped.set()
        self._clock.join()
        self._pool.shutdown(wait=True)
        self._client.close()

    @property
    def samples(self) -> list[Sample]:
        """Those that are done, by time of sending."""
        return sorted(self._samples, key=lambda each: each.sent)

    def _tick(self) -> None:
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            self._pool.submit(self._ask, next(self._urls))
            due += self._interval_seconds

    def _ask(self, url: str) -> None:
        sent = time.monotonic()
        try:
            answer = self._client.post(f"{url}/classify", files={"file": ("d.png", self._png)})
        except httpx.HTTPError as error:
            self._samples.append(
                Sample(url, sent, time.monotonic(), 0, error=f"{type(error).__name__}: {error}")
            )
            return
        body = answer.json()
        self._samples.append(
            Sample(
                url,
                sent,
                time.monotonic(),
                answer.status_code,
                version=body.get("model", {}).get("version"),
                label=body["predictions"][0]["label"] if "predictions" in body else None,
                retry_after=answer.headers.get("Retry-After"),
            )
        )
