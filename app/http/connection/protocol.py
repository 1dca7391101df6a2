"""One client's connection: bytes in, requests to the application, answers out, within limits.

              bytes             head complete          body complete         answer complete
    waiting ────────► head ───────┬───────────► body ──────────────► answering ───┬──► waiting
       ▲                          │ refused       │ answered early                │
       │       rest ≤ 64 kB       ▼               ▼             connection: close ▼
       └────── discarding ◄───── (answer sent, body still arriving) ──► lingering ──► closed

What each state may cost is in `limits`, `inflow` and `linger`; clocks turn in `census`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.server import ServerState

from app.errors import GatewayError, RequestTimeoutError
from app.http.canned import canned_response, closing
from app.http.connection.arrival import arrival_of_data
from app.http.connection.body import body_of
from app.http.connection.exchange import Exchange, scope_of
from app.http.connection.head import Head, end_of_head, parse_head
from app.http.connection.inflow import Inflow
from app.http.connection.linger import Linger
from app.http.connection.shared import Shared
from app.http.record import STARTED_AT

_HEAD_READ_BYTES: Final = 16_384
"""Small: what follows a request on a connection waits in the kernel, not here."""
_HIGH_WATER_BYTES: Final = 262_144
"""So much of a body waits for the application before reading stops."""
_DISCARD_BYTES: Final = 65_536
"""A body's rest up to this is cheaper to drop than a new connection is to make."""
_NEVER: Final = float("inf")
_BLANK: Final = b"\r\n"


class Connection(asyncio.BufferedProtocol):
    """uvicorn's `http=` protocol; see the module."""

    def __init__(self, shared: Shared, state: ServerState, app_state: dict[str, Any]) -> None:
        self._shared = shared
        self._limits = shared.limits
        self._state = state
        self._app_state = app_state
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._client: tuple[str, int] | None = None
        self._server: tuple[str, int] | None = None
        self.peer = ""
        # The request
        self._buffer = bytearray()
        """A head that is incomplete, or what follows the request that is being answered."""
        self._seen = 0
        """So many bytes of it are known not to end a head."""
        self._began_at: float | None = None
        """When the first of them reached this machine, on time.monotonic; None: just now."""
        self._exchange: Exchange | None = None
        self._inflow: Inflow | None = None
        """The body that is arriving; None when it has arrived."""
        # The connection
        self._is_last = False
        """No request follows the present one."""
        self._is_closing = False
        self._linger: Linger | None = None
        self._is_reading = True
        self._deadline = _NEVER
        self._write_deadline = _NEVER
        self._writable = asyncio.Event()
        self._writable.set()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._client = _address(transport.get_extra_info("peername"))
        self._server = _address(transport.get_extra_info("sockname"))
        self.peer = self._shared.client_of(self._client[0]) if self._client else ""
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own
        error = self._shared.census.enter(self)
        if error is None:
            self._wait()
        else:
            self._write_last(canned_response(error))

    def get_buffer(self, _: int) -> memoryview:
        """Where the next bytes go: never more than can be used now."""
        scratch = self._shared.scratch
        if self._linger is not None:
            return scratch
        if self._inflow is None:
            return scratch[:_HEAD_READ_BYTES]
        remaining = self._inflow.remaining
        return scratch if remaining is None else scratch[:remaining]

    def buffer_updated(self, count: int) -> None:
        """Bytes have arrived in the buffer."""
        if self._linger is not None:
            self._deadline = self._linger.received(count, self._loop.time())
            if self._linger.is_over:
                self._close()
            return
        data = self._shared.scratch[:count]
        if self._inflow is not None:
            data = data[self._feed(self._inflow, data) :]
        if data and self._linger is None:
            if not self._buffer:
                self._began_at = None
            self._buffer += data
        self._advance()
        if self._buffer and self._began_at is None:
            self._began_at = arrival_of_data(self._transport)

    def eof_received(self) -> None:
        """The client sends no more: it closes, so nobody reads an answer."""

    def connection_lost(self, _: Exception | None) -> None:
        """The connection is closed, by whomever."""
        self._shared.census.leave(self)
        self._state.connections.discard(self)
        self._is_closing = True
        self._buffer.clear()
        if self._exchange is not None:
            self._exchange.disconnected()
        self._writable.set()

    def pause_writing(self) -> None:
        """More waits to be written than the client reads."""
        self._writable.clear()
        self._write_deadline = self._loop.time() + self._limits.write_timeout_seconds

    def resume_writing(self) -> None:
        """It has read."""
        self._writable.set()
        self._write_deadline = _NEVER
        self._advance()

    # What uvicorn and the census call

    def shutdown(self) -> None:
        """The server stops: finish the request in progress, if there is one."""
        self._is_last = True
        if self._exchange is None:
            self._close()

    def evict(self) -> None:
        """As `Member.evict`."""
        self._close()

    def check(self, now: float) -> None:
        """As `Member.check`."""
        if now >= self._write_deadline:
            self._transport.abort()
        elif now >= self._deadline:
            self._time_is_up(now)

    # What the exchange calls

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """As `Line.default_headers`."""
        return self._state.default_headers

    def write(self, data: bytes) -> None:
        """As `Line.write`."""
        self._transport.write(data)

    async def drain(self) -> None:
        """As `Line.drain`."""
        await self._writable.wait()

    def body_taken(self) -> None:
        """As `Line.body_taken`."""
        self._resume_reading()

    def keeps_alive(self, head: Head) -> bool:
        """As `Line.keeps_alive`."""
        if self._is_last or not head.keep_alive:
            return False
        if self._inflow is None:
            return True
        if head.expects_continue and not self._inflow.bytes:
            return False  # the client may send its body or not: nobody knows what comes next
        remaining = self._inflow.remaining
        return remaining is not None and remaining <= _DISCARD_BYTES

    def answered(self, *, keep_alive: bool) -> None:
        """As `Line.answered`."""
        self._exchange = None
        self._settle(keep_alive=keep_alive)
        self._advance()

    def abort(self) -> None:
        """As `Line.abort`."""
        self._transport.abort()

    # From one request to the next

    def _wait(self) -> None:
        """Between requests."""
        self._shared.census.waits(self)
        self._seen = 0
        self._deadline = self._loop.time() + self._limits.keep_alive_seconds
        self._resume_reading()

    def _advance(self) -> None:
        """Begin with what is in the buffer, as far as everything before it is done."""
        while self._buffer and self._is_free():
            try:
                head = self._next_head()
            except GatewayError as error:
                self._refuse(error)
                return
            if head is None:
                return
            self._begin(head)
        if len(self._buffer) >= _HEAD_READ_BYTES:
            self._pause_reading()

    def _is_free(self) -> bool:
        is_idle = self._exchange is None and self._inflow is None
        return is_idle and self._linger is None and not self._is_closing and self._writable.is_set()

    def _next_head(self) -> Head | None:
        if self._buffer.startswith(_BLANK):  # allowed between requests (RFC 9112, 2.2)
            self._buffer = self._buffer.lstrip(_BLANK)
        if not self._buffer:
            return None
        end = end_of_head(self._buffer, self._seen, self._limits)
        if end is None:
            if not self._seen:
                self._deadline = self._loop.time() + self._limits.header_timeout_seconds
            self._seen = len(self._buffer)
            return None
        head = parse_head(bytes(self._buffer[:end]))
        del self._buffer[:end]
        return head

    def _begin(self, head: Head) -> None:
        self._shared.census.works(self)
        self._deadline = _NEVER
        refusal = self._shared.gate.refuse(
            head.method, head.raw_path, self._client[0] if self._client else "", head.headers
        )
        if refusal is not None:
            self._turn_away(head, refusal)
            return
        self._expect_body(head)
        self._exchange = self._new_exchange(head)
        self._feed_from_buffer()

    def _turn_away(self, head: Head, refusal: bytes) -> None:
        """Answer for the gate; under overload nearly all requests end here."""
        length = head.content_length
        if length is not None and length <= len(self._buffer):
            del self._buffer[:length]  # the whole body is here already: no need to follow it
        else:
            self._expect_body(head)
            self._feed_from_buffer()
        if self._linger is None:
            keep_alive = self.keeps_alive(head)
            self._transport.write(refusal if keep_alive else closing(refusal))
            self._settle(keep_alive=keep_alive)

    def _expect_body(self, head: Head) -> None:
        body = body_of(head)
        if body is not None:
            self._inflow = Inflow(body, self._loop.time())
            self._deadline = self._inflow.first_check()

    def _feed_from_buffer(self) -> None:
        """What came with the head."""
        if self._inflow is not None and self._buffer:
            del self._buffer[: self._feed(self._inflow, bytes(self._buffer))]

    def _new_exchange(self, head: Head) -> Exchange:
        began_at = arrival_of_data(self._transport) if self._began_at is None else self._began_at
        scope = scope_of(
            head,
            client=self._client,
            server=self._server,
            state={**self._app_state, STARTED_AT: began_at},
        )
        exchange = Exchange(self, head, scope, has_body=self._inflow is not None)
        task = self._loop.create_task(exchange.run(self._shared.app))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)
        return exchange

    def _settle(self, *, keep_alive: bool) -> None:
        """The answer is written: what becomes of the connection."""
        if self._is_closing:
            return
        if not keep_alive:
            if self._inflow is not None or self._buffer:
                self._start_linger()
            else:
                self._close()
        elif self._inflow is None:
            self._wait()
        else:
            self._shared.census.waits(self)
            self._deadline = self._loop.time() + self._limits.header_timeout_seconds
            self._resume_reading()

    # The body

    def _feed(self, inflow: Inflow, data: bytes | memoryview) -> int:
        """Give the body what is its own; returns how much that was."""
        chunks: list[bytes] = []
        try:
            taken = inflow.feed(data, chunks)
        except GatewayError as error:
            self._body_failed(error)
            return len(data)
        if inflow.is_complete:
            self._inflow = None
            self._deadline = _NEVER
        if self._exchange is not None:
            self._exchange.body_arrived(chunks, is_complete=inflow.is_complete)
            if self._exchange.buffered_bytes > _HIGH_WATER_BYTES:
                self._pause_reading()
        elif inflow.is_complete:
            self._wait()
        return taken

    def _body_failed(self, error: GatewayError) -> None:
        """Its rest cannot be told from a next request, or would take for ever."""
        self._is_last = True
        self._deadline = _NEVER
        if self._exchange is None:
            self._start_linger()
            return
        self._pause_reading()
        self._exchange.body_failed(error)

    # Clocks and the end

    def _time_is_up(self, now: float) -> None:
        if self._is_closing:
            self._transport.abort()
        elif self._exchange is not None and self._inflow is not None:
            try:
                rate = self._limits.min_body_bytes_per_second
                self._deadline = self._inflow.next_check(now, rate)
            except RequestTimeoutError as error:
                self._body_failed(error)
        elif self._buffer and self._linger is None:
            self._refuse(RequestTimeoutError("the head of the request did not arrive in time"))
        else:
            self._close()

    def _refuse(self, error: GatewayError) -> None:
        """Answer what is no request that the application could see."""
        self._shared.refusals.note(error, peer=self.peer)
        self._write_last(canned_response(error))

    def _write_last(self, response: bytes) -> None:
        self._transport.write(closing(response))
        self._start_linger()

    def _start_linger(self) -> None:
        now = self._loop.time()
        self._inflow = None
        self._buffer.clear()
        self._linger = Linger(now)
        self._deadline = self._linger.deadline
        self._transport.write_eof()
        self._resume_reading()
        self._shared.census.lingers(self)

    def _close(self) -> None:
        """Close as soon as what is written has been sent; not later than a client may take."""
        self._is_closing = True
        self._deadline = self._loop.time() + self._limits.write_timeout_seconds
        self._transport.close()

    def _pause_reading(self) -> None:
        if self._is_reading and not self._is_closing:
            self._is_reading = False
            self._transport.pause_reading()
            if self._inflow is not None:
                self._inflow.pause(self._loop.time())

    def _resume_reading(self) -> None:
        if not self._is_reading and not self._is_closing:
            self._is_reading = True
            self._transport.resume_reading()
            if self._inflow is not None:
                self._inflow.resume(self._loop.time())


def _address(found: Any) -> tuple[str, int] | None:
    """Host and port; None for UNIX sockets."""
    return (str(found[0]), int(found[1])) if isinstance(found, tuple) else None
