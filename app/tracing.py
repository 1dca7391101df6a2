"""Where a request's time goes, for whoever collects traces; without one, nothing happens here.

The current request's trace travels with its tasks (a context variable), so the code that is traced
says `with span("decode"):` and knows neither whether somebody looks nor with which library. The
one implementation is `app.otel`; this module must not import it.

    request ─┬─ read
             ├─ decode
             ├─ queue
             ├─ inference ─ ─ ─ link ─ ─ ─┐
             └─ predict (of one of the batch's requests; links to the others) ──► model server
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, Final, Protocol

from protocol.client import Headers


class Call(Protocol):
    """One call of the model server under way."""

    @property
    def headers(self) -> Headers:
        """The W3C trace context that the model server is told."""
        ...


class Trace(Protocol):
    """One request's trace."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits, for the log."""
        ...

    def span(self, name: str) -> AbstractContextManager[None]:
        """A part of the request, for as long as the block runs."""
        ...

    def batched(self, queue_seconds: float, run_seconds: float, call: Call | None) -> None:
        """The request's row has been answered just now, by that call; both times are over."""
        ...

    def call(
        self, others: Sequence[Trace], attributes: Mapping[str, Any]
    ) -> AbstractContextManager[Call]:
        """A call of the model server for this request and others, as long as the block runs."""
        ...

    def end(self, name: str, status: int, attributes: Mapping[str, Any]) -> None:
        """The request is answered."""
        ...


class Tracing(Protocol):
    """Makes traces."""

    def begin(self, headers: Iterable[tuple[bytes, bytes]]) -> Trace:
        """A request has arrived with these headers; their trace context is continued."""
        ...

    async def aclose(self) -> None:
        """Send what is left, but not for long."""
        ...


_current: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)
_NOTHING: Final = nullcontext()


def enter(trace: Trace | None) -> None:
    """The trace that this task, and those it starts, work for; None: for no request."""
    _current.set(trace)


def current() -> Trace | None:
    """The trace of the request that is worked for."""
    return _current.get()


def span(name: str) -> AbstractContextManager[None]:
    """A part of the current request's trace, if it has one."""
    trace = _current.get()
    return _NOTHING if trace is None else trace.span(name)


def call(
    members: Iterable[Trace | None], attributes: Mapping[str, Any]
) -> AbstractContextManager[Call | None]:
    """A call of the model server for these requests: in the first one's trace, linked to all."""
    traces = [trace for trace in members if trace is not None]
    return traces[0].call(traces[1:], attributes) if traces else _NOTHING
