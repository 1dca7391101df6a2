"""Traces by OpenTelemetry: spans of requests, sent over OTLP. The only module that knows the SDK.

What the standard's variables say holds (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME,
OTEL_TRACES_SAMPLER, OTEL_BSP_… and so on). No global provider is set: other libraries that could
trace by themselves (FastAPI is one) do not begin to.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.tracing import Call, Trace
from protocol.client import Headers

_SERVICE: Final = "sightserve-gateway"
_FLUSH_SECONDS: Final = 2.0
"""A collector that is down must not hold up the end of the process."""
_SERVER_ERROR: Final = 500
_W3C: Final = TraceContextTextMapPropagator()
_W3C_NAMES: Final = frozenset({b"traceparent", b"tracestate"})
_NANOSECONDS: Final = 1_000_000_000


def otlp_tracing(version: str) -> OtelTracing:
    """Traces that go to the collector that the environment names."""
    given = Resource.create()
    is_named = "OTEL_SERVICE_NAME" in os.environ or SERVICE_NAME in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    ours = {SERVICE_VERSION: version} if is_named else {
        SERVICE_VERSION: version, SERVICE_NAME: _SERVICE
    }  # fmt: skip
    provider = TracerProvider(resource=given.merge(Resource(ours)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracing(provider)


@dataclass(frozen=True, slots=True)
class _OtelCall:
    headers: Headers
    span: Span


class OtelTrace:
    """One request as a span, with its parts as children; implements `Trace`."""

    def __init__(self, tracer: Tracer, parent: Context) -> None:
        self._tracer = tracer
        self._span = tracer.start_span("request", context=parent, kind=SpanKind.SERVER)
        self._context = set_span_in_context(self._span, parent)
        self.trace_id = f"{self._span.get_span_context().trace_id:032x}"

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """See `Trace.span`."""
        span = self._tracer.start_span(name, context=self._context)
        try:
            yield
        except BaseException as error:
            _fail(span, error)
            raise
        finally:
            span.end()

    def batched(self, queue_seconds: float, run_seconds: float, call: Call | None) -> None:
        """See `Trace.batched`."""
        now = time.time_ns()
        sent_at = now - int(run_seconds * _NANOSECONDS)
        queued_at = sent_at - int(queue_seconds * _NANOSECONDS)
        links = [Link(call.span.get_span_context())] if isinstance(call, _OtelCall) else []
        self._past("queue", queued_at, sent_at, [])
        self._past("inference", sent_at, now, links)

    @contextmanager
    def call(self, others: Sequence[Trace], attributes: Mapping[str, Any]) -> Iterator[_OtelCall]:
        """See `Trace.call`."""
        span = self._tracer.start_span(
            "predict",
            context=self._context,
            kind=SpanKind.CLIENT,
            attributes=_named(attributes),
            links=[
                Link(other._span.get_span_context())  # noqa: SLF001 - one of ours
                for other in others
                if isinstance(other, OtelTrace)
            ],
        )
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(span, self._context))
        try:
            yield _OtelCall(tuple(carrier.items()), span)
        except BaseException as error:
            _fail(span, error)
            raise
        finally:
            span.end()

    def end(self, name: str, status: int, attributes: Mapping[str, Any]) -> None:
        """See `Trace.end`."""
        self._span.update_name(name)
        self._span.set_attribute("http.response.status_code", status)
        self._span.set_attributes(_named(attributes))
        if status >= _SERVER_ERROR:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    def _past(self, name: str, started_at: int, ended_at: int, links: Sequence[Link]) -> None:
        """A span that is over already; times in nanoseconds since 1970."""
        span = self._tracer.start_span(
            name, context=self._context, start_time=started_at, links=links
        )
        span.end(ended_at)


class OtelTracing:
    """Makes traces of one provider's; implements `Tracing`."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("sightserve")

    def begin(self, headers: Iterable[tuple[bytes, bytes]]) -> OtelTrace:
        """See `Tracing.begin`; a trace context that is malformed, or there twice, is ignored."""
        carrier: dict[str, str] = {}
        for name, value in headers:
            if name in _W3C_NAMES:
                text = value.decode("latin-1")
                key = name.decode()
                carrier[key] = f"{carrier[key]},{text}" if key in carrier else text
        return OtelTrace(self._tracer, _W3C.extract(carrier, Context()) if carrier else Context())

    async def aclose(self) -> None:
        """See `Tracing.aclose`."""
        # Not in the loop's executor, for which the loop waits when it closes.
        done, loop = asyncio.Event(), asyncio.get_running_loop()
        threading.Thread(target=self._close, args=(done, loop), daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await done.wait()

    def _close(self, done: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        self._provider.shutdown()
        with suppress(RuntimeError):  # too late: the loop is closed
            loop.call_soon_threadsafe(done.set)


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Our own attributes have our name before them; those of OpenTelemetry's own list have not."""
    return {
        name if "." in name else f"sightserve.{name}": value for name, value in attributes.items()
    }


def _fail(span: Span, error: BaseException) -> None:
    """Only what kind of failure: its text may hold what clients sent."""
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(Status(StatusCode.ERROR))
