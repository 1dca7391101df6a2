"""The load generator against servers whose pauses are known."""

import asyncio
import importlib.util
from contextlib import asynccontextmanager

import numpy as np
import pytest

from exporter.errors import FailedError
from exporter.tune.gateway_process import require_gateway
from exporter.tune.generator import PHOTOS, PIXELS_FILE, Generator
from exporter.tune.load import running_load

PHOTO = b"\x89 no photo"


class Server:
    """Answers as a gateway does, in form; remembers how many requests it had at a time.

    Args:
        status: of every answer.
        opens_after: seconds before which it answers nobody.
        closes: after every answer.
    """

    def __init__(self, *, status=200, opens_after=0.0, closes=False):
        self._status, self._opens_after, self._closes = status, opens_after, closes
        self.most = self.now = 0
        self.bodies = set()

    @asynccontextmanager
    async def listening(self):
        self._open = asyncio.get_running_loop().time() + self._opens_after
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].split()[0])
                self.bodies.add(await reader.readexactly(length))
                self.now += 1
                self.most = max(self.most, self.now)
                wait = self._open - asyncio.get_running_loop().time()
                await asyncio.sleep(max(0.0, wait))
                self.now -= 1
                close = b"Connection: close\r\n" if self._closes else b""
                writer.write(
                    b"HTTP/1.1 %d X\r\n%sContent-Length: 2\r\n\r\n{}" % (self._status, close)
                )
                if self._closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
def generator(tmp_path):
    np.save(tmp_path / PIXELS_FILE, np.zeros((2, 4, 4, 3), np.uint8))
    (tmp_path / PHOTOS).mkdir()
    (tmp_path / PHOTOS / "0").write_bytes(PHOTO)
    return Generator(tmp_path)


def run(generator, server, kind, seconds, **job):
    async def work():
        async with server.listening() as port:
            return await generator.run({"kind": kind, "seconds": seconds, "port": port, **job})

    return asyncio.run(work())


class TestOpenLoop:
    def test_a_pause_of_the_server_delays_nobody_but_counts_for_everybody(self, generator):
        """Who was due in the first tenth of a second waited for at least another two tenths."""
        server = Server(opens_after=0.3)
        seen = run(generator, server, "open", 0.4, rate=200.0)
        paused = [each for each in seen["latencies_seconds"] if each >= 0.2]
        assert len(paused) >= 5
        assert server.most > 10
        assert server.bodies == {PHOTO}

    def test_as_many_come_however_slow_it_is(self, generator):
        fast = run(generator, Server(), "open", 0.4, rate=100.0)
        slow = run(generator, Server(opens_after=0.4), "open", 0.4, rate=100.0)
        assert len(fast["latencies_seconds"]) == len(slow["latencies_seconds"]) > 10

    def test_refusals_are_no_answers(self, generator):
        seen = run(generator, Server(status=429), "open", 0.2, rate=50.0)
        assert seen["latencies_seconds"] == []
        assert seen["failed"] > 0
        assert seen["error"] == "status 429"


class TestClosedLoop:
    def test_each_client_has_one_request_at_a_time(self, generator):
        server = Server(opens_after=0.1)
        seen = run(generator, server, "closed", 0.2, clients=3)
        assert server.most == 3
        assert len(seen["latencies_seconds"]) > 3
        assert seen["failed"] == 0

    def test_a_server_that_closes_connections_is_connected_to_again(self, generator):
        seen = run(generator, Server(closes=True), "closed", 0.2, clients=2)
        assert len(seen["latencies_seconds"]) > 2
        assert seen["failed"] == 0


class TestProcess:
    def test_nobody_there_is_said(self, tmp_path):
        pixels = np.zeros((1, 4, 4, 3), np.uint8)
        with (
            running_load(pixels, [PHOTO], tmp_path) as load,
            pytest.raises(FailedError, match=r"nothing was answered: .*Connect call failed"),
        ):
            load.run("closed", 0.1, port=1, clients=1)

    def test_one_that_ended_is_said(self, tmp_path):
        pixels = np.zeros((1, 4, 4, 3), np.uint8)
        with (
            running_load(pixels, [PHOTO], tmp_path) as load,
            pytest.raises(FailedError, match="the load generator ended"),
        ):
            load.run("no such kind", 0.1)


def test_without_a_gateway_it_is_said_before_anything_starts(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "fastapi" else found(name)
    )
    with pytest.raises(FailedError, match="through a gateway, and fastapi is not installed"):
        require_gateway()
