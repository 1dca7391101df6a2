"""The REST API as an ASGI application: HTTP in, answers of the handler out.

Bodies are parsed and models run in a thread pool, so that the event loop only moves bytes.
Answers outside the API are the pages of the HTTP library that TensorFlow Serving uses (libevent).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from serving.inference.use_cases import Inference
from serving.monitoring import Metrics
from serving.rest import libevent
from serving.rest.handler import Answer, Handler
from serving.rest.libevent import Headers
from serving.rest.target import is_rest

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON: Headers = [(b"content-type", b"application/json")]
_TEXT: Headers = [(b"content-type", b"text/plain")]
_LIBEVENT_DEFAULT: Headers = [(b"content-type", b"text/html; charset=ISO-8859-1")]
_CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]
_AUTHORITY = re.compile(rb"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_WEB_ORIGIN = re.compile(rb"https?://")
_EXPECTATIONS = {b"", b"100-continue"}
_THREADS_PER_CORE = 4


class _DisconnectedError(Exception):
    """The client went away before its request was complete."""


def create_rest_app(
    inference: Inference,
    *,
    metrics: Metrics | None = None,
    metrics_path: str | None = None,
    cors: bool = False,
    timeout_seconds: float | None = None,
    max_workers: int | None = None,
) -> AsgiApp:
    """The application for one server.

    `metrics` counts requests; they are served as text at `metrics_path` unless that is None.
    `timeout_seconds` bounds one run of a model. `max_workers` requests are worked on at a time
    (default: four per core), the rest wait.
    """
    handler = Handler(inference, metrics=metrics, timeout_seconds=timeout_seconds)
    workers = max_workers or _THREADS_PER_CORE * (os.cpu_count() or 1)
    return _RestApp(
        handler,
        pool=ThreadPoolExecutor(workers, thread_name_prefix="rest"),
        metrics=metrics,
        metrics_path=metrics_path,
        cors=cors,
    )


class _RestApp:
    def __init__(
        self,
        handler: Handler,
        *,
        pool: ThreadPoolExecutor,
        metrics: Metrics | None,
        metrics_path: str | None,
        cors: bool,
    ) -> None:
        self._handler = handler
        self._pool = pool
        self._metrics = metrics
        self._metrics_path = metrics_path
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._pool.shutdown(wait=False)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = _target(scope)
        if scope["method"] not in libevent.METHODS:
            await _send_page(send, HTTPStatus.NOT_IMPLEMENTED)
        elif _has_body(scope) and _header(scope, b"expect").lower() not in _EXPECTATIONS:
            await _send_page(send, HTTPStatus.EXPECTATION_FAILED)
        elif not libevent.is_uri(target):
            await _send_page(send, HTTPStatus.BAD_REQUEST)
        elif self._metrics and target.partition("?")[0] == self._metrics_path:
            await self._send_metrics(send, target, self._metrics)
        elif not is_rest(target):
            await _send_page(send, HTTPStatus.NOT_FOUND)
        else:
            await self._answer_api(scope, receive, send)

    async def _answer_api(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _read(receive)
        except _DisconnectedError:
            return
        cors = _CORS if self._cors else []
        if scope["method"] == "OPTIONS":
            is_web = _WEB_ORIGIN.search(_header(scope, b"origin")) is not None
            status = HTTPStatus.OK if is_web else HTTPStatus.BAD_REQUEST
            await _send(send, status, _LIBEVENT_DEFAULT + cors, b"")
            return
        answer = await asyncio.get_running_loop().run_in_executor(
            self._pool, self._work, scope, body
        )
        await _send(send, answer.status, _JSON + cors, answer.body)

    def _work(self, scope: Scope, body: bytes) -> Answer:
        if b"gzip" in _header(scope, b"content-encoding"):
            body = libevent.decompress(body)
        return self._handler.answer(scope["method"], _target(scope), body)

    async def _send_metrics(self, send: Send, target: str, metrics: Metrics) -> None:
        if target != self._metrics_path:
            text = f"Unexpected path: {target}. Should be {self._metrics_path}"
            await _send(send, HTTPStatus.BAD_REQUEST, _TEXT, text.encode())
            return
        # Not in the pool: monitoring has to see a server whose threads are all busy.
        text = await asyncio.to_thread(metrics.exposition)
        await _send(send, HTTPStatus.OK, _TEXT, text.encode())


def _target(scope: Scope) -> str:
    """The request target as it came, less any host: nothing decoded, the query included."""
    target: bytes
    extension = (scope.get("extensions") or {}).get(libevent.TARGET_EXTENSION)
    if extension:
        target = extension["target"]
    else:
        query: bytes = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
    return _AUTHORITY.sub(b"", target, count=1).decode("latin-1")


def _has_body(scope: Scope) -> bool:
    has_length = _header(scope, b"content-length") not in {b"", b"0"}
    return has_length or bool(_header(scope, b"transfer-encoding"))


def _header(scope: Scope, name: bytes) -> bytes:
    value: bytes = next((value for key, value in scope["headers"] if key == name), b"")
    return value


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers = libevent.with_length(headers, body)
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_page(send: Send, status: HTTPStatus) -> None:
    headers, body = libevent.page(status)
    await _send(send, status, headers, body)
