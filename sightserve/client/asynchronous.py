"""`AsyncClient`: the same as `Client`, from asyncio."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from sightserve.client import calls
from sightserve.client.errors import SightserveError, UnavailableError
from sightserve.client.images import ImageSource, image_bytes
from sightserve.client.many import Item, Order
from sightserve.client.many_async import in_tasks
from sightserve.client.progress import Counter, OnProgress
from sightserve.client.reporting import shown
from sightserve.client.results import Classification, Readiness, ServedModel, Stats
from sightserve.client.retries import DEFAULT_COUNT, NEVER, Retries
from sightserve.client.transport import Verify, async_transport_for

_T = TypeVar("_T")


class AsyncClient:
    """A gateway, for the tasks of one event loop; arguments and errors are those of `Client`.

    async with AsyncClient("http://127.0.0.1:8000") as client:
        print((await client.classify("photo.jpg")).best)
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = calls.DEFAULT_TIMEOUT_SECONDS,
        retries: int = DEFAULT_COUNT,
        verify: Verify = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connects to nothing yet; see `Client`."""
        self._caller = calls.Caller(url, api_key, timeout)
        self._retries = Retries(count=retries)
        self._transport = transport or async_transport_for(self._caller.url, verify)
        self._random = random.Random()  # noqa: S311 - spreads retries, keeps no secret

    @property
    def url(self) -> str:
        """The gateway's."""
        return str(self._caller)

    async def classify(
        self,
        image: ImageSource,
        *,
        top_k: int | None = None,
        model: str | None = None,
        version: int | None = None,
        version_label: str | None = None,
        min_probability: float | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - sent to the gateway
    ) -> Classification:
        """Classify one image; see `Client.classify`. Files are read in a thread."""
        is_ready = isinstance(image, (bytes, bytearray, memoryview))
        data = image_bytes(image) if is_ready else await asyncio.to_thread(image_bytes, image)
        call = calls.classify_call(
            data,
            top_k=top_k,
            model=model,
            version=version,
            version_label=version_label,
            min_probability=min_probability,
        )
        return await self._ask(call, self._retries, timeout)

    async def classify_many(
        self,
        images: Iterable[ImageSource] | AsyncIterable[ImageSource],
        *,
        concurrency: int = 8,
        order: Order = "input",
        progress: OnProgress | bool = False,
        **options: Any,
    ) -> AsyncIterator[Item]:
        """Classify any number of images: one `Item` each; see `Client.classify_many`."""

        async def one(image: Any) -> Classification:
            return await self.classify(image, **options)

        with shown(progress) as tell:
            counter = Counter(tell, images)
            async for item in in_tasks(one, images, concurrency, order):
                counter.add(item)
                yield item

    async def models(self) -> tuple[ServedModel, ...]:
        """The models that the gateway answers for, with the states of their versions."""
        return await self._ask(calls.models_call(), self._retries, None)

    async def model(self, name: str) -> ServedModel:
        """One model, with labels and card of each available version."""
        return await self._ask(calls.model_call(name), self._retries, None)

    async def ready(self) -> Readiness:
        """Whether images are answered now; asks once."""
        try:
            return await self._ask(calls.ready_call(), NEVER, None)
        except UnavailableError as error:
            return Readiness(is_ready=False, detail=error.detail or error.title)

    async def stats(self) -> Stats:
        """Latencies and counts of the gateway process that answers."""
        return await self._ask(calls.stats_call(), self._retries, None)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _ask(self, call: calls.Call[_T], retries: Retries, seconds: float | None) -> _T:
        seconds = self._caller.timeout if seconds is None else calls.checked_timeout(seconds)
        deadline = time.monotonic() + seconds
        request_id = calls.new_request_id()
        for attempt in count(1):
            try:
                return await self._attempt(call, request_id, deadline)
            except SightserveError as error:
                pause = retries.pause(
                    attempt,
                    error,
                    remaining_seconds=deadline - time.monotonic(),
                    jitter=self._random.random(),
                )
                if pause is None:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError

    async def _attempt(self, call: calls.Call[_T], request_id: str, deadline: float) -> _T:
        remaining = deadline - time.monotonic()
        request = self._caller.request(call, request_id, remaining)
        has_answered = False
        try:
            async with asyncio.timeout(remaining + calls.GRACE_SECONDS):
                response = await self._transport.handle_async_request(request)
                has_answered = True
                body = await self._body(response, request_id)
        except (httpx.TransportError, TimeoutError) as caught:
            error = caught if isinstance(caught, httpx.TransportError) else _TIMEOUT
            raise self._caller.transport_error(
                error, request_id, has_answered=has_answered
            ) from caught
        return self._caller.result(call, response.status_code, response.headers, body, request_id)

    async def _body(self, response: httpx.Response, request_id: str) -> bytes:
        body = bytearray()
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > calls.MAX_ANSWER_BYTES:
                    raise calls.too_long(self._caller, request_id)
        finally:
            await response.aclose()
        return bytes(body)


_TIMEOUT = httpx.ReadTimeout("no answer in time")
