"""Honest clients beside an attack lose no answer, however late it comes."""

import asyncio

import pytest

from tests.load.beside import Beside

pytestmark = pytest.mark.anyio

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def test_every_answer_is_counted_also_the_slow_ones():
    asked = []

    async def serve(reader, writer):
        line = await reader.readline()
        asked.append(line.split()[1])
        # Later than the reports of the other process, which must not drop what is still awaited.
        await asyncio.sleep(1.2 if line.startswith(b"POST") else 0.0)
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with Beside(f"http://127.0.0.1:{port}", rate=10) as beside:
            await asyncio.sleep(2.0)
    assert len(beside.answers) == asked.count(b"/classify") > 5
    assert len(beside.livez) == asked.count(b"/livez") > 5
    assert beside.share_answered == 1.0
    assert min(each.seconds for each in beside.answers) > 1.0
    assert beside.figures["outcomes"] == {"200": len(beside.answers)}
