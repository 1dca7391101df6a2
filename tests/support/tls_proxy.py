"""Ends TLS in front of a server that speaks plain gRPC or HTTP, as a sidecar or ingress does."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.certificates import Certificate


@contextmanager
def tls_proxy(address: str, shown: Certificate, *, client_ca: Path | None = None) -> Iterator[int]:
    """A port on 127.0.0.1 that passes what it decrypts on to `address`.

    With `client_ca` clients must show a certificate of that authority.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.certificate, shown.key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    host, _, port = address.rpartition(":")
    ports: list[int] = []
    is_open, loop = threading.Event(), asyncio.new_event_loop()
    stopping = asyncio.Event()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
            try:
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
            except BaseException:
                inner_writer.transport.abort()
                raise
        except BaseException:  # stopped with a client still there: left open, it is a warning later
            writer.transport.abort()
            raise

    async def serve() -> None:
        server = await asyncio.start_server(connect, "127.0.0.1", 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
        is_open.set()
        await stopping.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next round

    # Handshakes that fail are what some tests want: nobody needs asyncio's word on each.
    loop.set_exception_handler(lambda *_: None)
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert is_open.wait(10)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()
