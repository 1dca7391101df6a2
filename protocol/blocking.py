"""A client for programs without an event loop: each call runs one of its own until the answer."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from protocol.client import Array, Client, Input, Prediction
from protocol.models import Metadata, ModelSpec, VersionStatus
from protocol.schemes import SCHEMES, Scheme, client_class
from protocol.tls import Tls

_T = TypeVar("_T")
_Handler = Callable[[int, FrameType | None], Any]


class BlockingClient:
    """One model server at `grpc(s)://host:port` or `http(s)://host:port`; a context manager.

    A UNIX socket is `grpc://unix:/path`.

    With an s the connection is encrypted, and certificates must come from the authorities that
    come with the libraries, or from `tls`.

    Raises:
        ValueError: the URL is neither.
    """

    def __init__(self, url: str, *, timeout_seconds: float, tls: Tls | None = None) -> None:
        self.scheme, is_secure, self._address = _split(url)
        self._tls = (tls or Tls.load()) if is_secure else None
        self._timeout_seconds = timeout_seconds
        self._runner = asyncio.Runner()
        self._client = self._run(self._connect())

    def predict(
        self, spec: ModelSpec, name: str, value: Array, *, outputs: Sequence[str] = ()
    ) -> Prediction:
        """Send an array [N, ...] to a signature's one input; see `Client.predict`."""
        tensor = Input.of_array(name, value, self._client)
        return self._run(
            self._client.predict(
                spec, tensor, outputs=outputs, timeout_seconds=self._timeout_seconds
            )
        )

    def metadata(self, spec: ModelSpec) -> Metadata:
        """See `Client.metadata`."""
        return self._run(self._client.metadata(spec, timeout_seconds=self._timeout_seconds))

    def statuses(self, name: str) -> list[VersionStatus]:
        """See `Client.statuses`."""
        return self._run(self._client.statuses(name, timeout_seconds=self._timeout_seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._runner:
            self._run(self._client.aclose())

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        loop = self._runner.get_loop()
        task = loop.create_task(work)
        with _ended_by_signals(task, loop):
            return loop.run_until_complete(task)

    async def _connect(self) -> Client:
        return client_class(self.scheme)(self._address, self._tls)


@contextmanager
def _ended_by_signals(task: asyncio.Task[Any], loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM cancel the task; what they mean otherwise happens after the block.

    A second one does not wait for that.

    An exception that a handler raises inside of an event loop may meet code that keeps it. And
    `Runner.run` forgets a Ctrl-C when the task ends with an exception of its own: an exporter that
    polled a server which was not there yet went on.
    """
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            handlers[number](number, frame)
        received.append(number)
        task.cancel()
        loop.call_soon_threadsafe(lambda: None)  # or it sleeps on

    handlers = _handlers()
    for number in handlers:
        signal.signal(number, receive)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            handlers[received[0]](received[0], None)


def _handlers() -> dict[int, _Handler]:
    """What the signals do, where they call a function and we may change that."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    return {number: handler for number, handler in found.items() if callable(handler)}


def _split(url: str) -> tuple[Scheme, bool, str]:
    """The protocol, whether it is encrypted, and what a client's constructor takes."""
    parts = urlsplit(url)
    if parts.scheme == "grpc" and parts.netloc == "unix:":
        return "grpc", False, parts.netloc + parts.path
    try:
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_address = False
    if not is_address or parts.scheme not in SCHEMES or parts.path.strip("/"):
        raise ValueError(f"{url}: write grpc://host:8500 or http://host:8501")
    scheme, is_secure = SCHEMES[parts.scheme]
    port = "" if parts.port or scheme == "grpc" else ":443" if is_secure else ":80"
    return scheme, is_secure, parts.netloc + port
