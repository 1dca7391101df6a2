"""`Client`: the gateway from ordinary code, and from as many threads as one likes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from sightserve.client import calls
from sightserve.client.errors import SightserveError, UnavailableError
from sightserve.client.images import ImageSource, image_bytes
from sightserve.client.many import Item, Order, in_threads
from sightserve.client.progress import OnProgress
from sightserve.client.reporting import reporting
from sightserve.client.results import Classification, Readiness, ServedModel, Stats
from sightserve.client.retries import DEFAULT_COUNT, NEVER, Retries
from sightserve.client.transport import Verify, transport_for

_T = TypeVar("_T")


class Client:
    """A gateway. Safe to share between threads; leave the context, or `close()`, when done.

    with Client("http://127.0.0.1:8000") as client:
        print(client.classify("photo.jpg").best)
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = calls.DEFAULT_TIMEOUT_SECONDS,
        retries: int = DEFAULT_COUNT,
        verify: Verify = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            url: the gateway's; default SIGHTSERVE_URL, else http://127.0.0.1:8000.
            api_key: default SIGHTSERVE_API_KEY.
            timeout: seconds for each call, its retries included, unless the call says otherwise.
            retries: how often a call is made again that was refused (429, 503) or got no answer.
            verify: of https: a context for other authorities than the usual, False for none.
            transport: httpx's, instead of our choice.

        Raises:
            ValueError: the URL, the key or the time is none.
        """
        self._caller = calls.Caller(url, api_key, timeout)
        self._retries = Retries(count=retries)
        self._transport = transport or transport_for(self._caller.url, verify)
        self._random = random.Random()  # noqa: S311 - spreads retries, keeps no secret

    @property
    def url(self) -> str:
        """The gateway's."""
        return str(self._caller)

    def classify(
        self,
        image: ImageSource,
        *,
        top_k: int | None = None,
        model: str | None = None,
        version: int | None = None,
        version_label: str | None = None,
        min_probability: float | None = None,
        timeout: float | None = None,
    ) -> Classification:
        """Classify one image.

        Args:
            image: a path, bytes, a binary file, a uint8 array [H,W,3] or [H,W], a Pillow image.
            top_k: how many classes; default 5.
            model: the model's name; default: the gateway's.
            version: that version; default: the served one.
            version_label: the version with that label; not together with `version`.
            min_probability: 0 to 1; leave out classes that are less probable.
            timeout: seconds, retries included.

        Raises:
            UnusableImageError: it is no image that can be sent.
            OSError: the file cannot be read.
            ProblemError: the gateway refused; its subclasses say why.
            TransportError: there was no answer.
            UnexpectedAnswerError: the answer was not a gateway's.
        """
        call = calls.classify_call(
            image_bytes(image),
            top_k=top_k,
            model=model,
            version=version,
            version_label=version_label,
            min_probability=min_probability,
        )
        return self._ask(call, self._retries, timeout)

    def classify_many(
        self,
        images: Iterable[ImageSource],
        *,
        concurrency: int = 8,
        order: Order = "input",
        progress: OnProgress | bool = False,
        **options: Any,
    ) -> Iterator[Item]:
        """Classify any number of images: one `Item` each, with a result or an error.

        Args:
            images: read as needed; at most `concurrency` images are in memory at a time.
            concurrency: how many are asked for at a time.
            order: "input", or "completed": as they come.
            progress: True: a bar on standard error, if that is a terminal; or a function that is
                called with a `Progress` after each image, in this thread.
            options: as `classify` takes them, for each image.

        Raises:
            ValueError: `concurrency` is less than 1, or `order` none of both.
        """
        items = in_threads(
            lambda image: self.classify(image, **options), images, concurrency, order
        )
        return reporting(items, images, progress)

    def models(self, *, timeout: float | None = None) -> tuple[ServedModel, ...]:
        """The models that the gateway answers for, with the states of their versions."""
        return self._ask(calls.models_call(), self._retries, timeout)

    def model(self, name: str, *, timeout: float | None = None) -> ServedModel:
        """One model, with labels and card of each available version.

        Raises:
            UnknownModelError: there is none of that name.
        """
        return self._ask(calls.model_call(name), self._retries, timeout)

    def ready(self, *, timeout: float | None = None) -> Readiness:
        """Whether images are answered now; asks once."""
        try:
            return self._ask(calls.ready_call(), NEVER, timeout)
        except UnavailableError as error:
            return Readiness(is_ready=False, detail=error.detail or error.title)

    def stats(self, *, timeout: float | None = None) -> Stats:
        """Latencies and counts of the gateway process that answers."""
        return self._ask(calls.stats_call(), self._retries, timeout)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, call: calls.Call[_T], retries: Retries, timeout: float | None) -> _T:
        seconds = self._caller.timeout if timeout is None else calls.checked_timeout(timeout)
        deadline = time.monotonic() + seconds
        request_id = calls.new_request_id()
        for attempt in count(1):
            try:
                return self._attempt(call, request_id, deadline)
            except SightserveError as error:
                pause = retries.pause(
                    attempt,
                    error,
                    remaining_seconds=deadline - time.monotonic(),
                    jitter=self._random.random(),
                )
                if pause is None:
                    raise
            time.sleep(pause)
        raise AssertionError

    def _attempt(self, call: calls.Call[_T], request_id: str, deadline: float) -> _T:
        request = self._caller.request(call, request_id, deadline - time.monotonic())
        has_answered = False
        try:
            response = self._transport.handle_request(request)
            has_answered = True
            body = self._body(response, request_id, deadline)
        except httpx.TransportError as error:
            raise self._caller.transport_error(
                error, request_id, has_answered=has_answered
            ) from error
        return self._caller.result(call, response.status_code, response.headers, body, request_id)

    def _body(self, response: httpx.Response, request_id: str, deadline: float) -> bytes:
        body = bytearray()
        try:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > calls.MAX_ANSWER_BYTES:
                    raise calls.too_long(self._caller, request_id)
                if time.monotonic() > deadline + calls.GRACE_SECONDS:
                    raise httpx.ReadTimeout("the answer drips")
        finally:
            response.close()
        return bytes(body)
