"""A client counts its connections: whoever is connected anew may be another model server."""

import asyncio
import socket
from contextlib import aclosing, closing, suppress

import pytest

from protocol.client import CallError
from protocol.grpc_client import GrpcClient
from protocol.rest_client import RestClient
from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.fake_rest import rest_face

pytestmark = pytest.mark.anyio

RESTARTS = 20


class Front:
    """A port before the fake; a restart ends every connection, as that of a server does."""

    def __init__(self, port):
        self._behind = port
        self._writers = set()
        self._server = None
        self.port = 0

    async def start(self):
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _relay(self, reader, writer):
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        ends = {writer, behind_writer}
        self._writers |= ends
        await asyncio.gather(_copy(reader, behind_writer), _copy(behind_reader, writer))
        self._writers -= ends


async def _copy(reader, writer):
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
    writer.close()


@pytest.fixture(params=["grpc", "rest"])
async def fronted(request):
    """A front, and the class of its clients."""
    with running_fake(demo={1: FakeVersion()}) as fake, rest_face(fake) as url:
        if request.param == "grpc":
            front, client_class = Front(fake.port), GrpcClient
        else:
            front, client_class = Front(int(url.rpartition(":")[2])), RestClient
        await front.start()
        yield front, client_class
        await front.stop()


async def answered(client):
    """Ask until there is an answer."""
    async with asyncio.timeout(30):
        while True:
            try:
                await client.statuses("demo", timeout_seconds=5)
            except CallError:
                await asyncio.sleep(0.01)
            else:
                return


async def test_the_answer_of_a_restarted_server_comes_after_its_connection_is_counted(fronted):
    front, client_class = fronted
    async with aclosing(client_class(f"127.0.0.1:{front.port}")) as client:
        assert client.connections == 0
        await answered(client)
        await answered(client)
        assert client.connections == 1
        for _ in range(RESTARTS):
            before = client.connections
            await front.stop()
            await front.start()
            await answered(client)
            assert client.connections > before


async def test_connections_beside_one_that_works_lead_to_whom_it_leads(fronted):
    front, client_class = fronted
    async with aclosing(client_class(f"127.0.0.1:{front.port}")) as client:
        await answered(client)
        for _ in range(5):
            await asyncio.gather(*(answered(client) for _ in range(8)))
        assert client.connections == 1
        await front.stop()
        await front.start()
        await asyncio.gather(*(answered(client) for _ in range(8)))
        assert client.connections > 1


@pytest.mark.parametrize("client_class", [GrpcClient, RestClient])
async def test_a_connection_that_is_never_made_does_not_count(client_class):
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with aclosing(client_class(f"127.0.0.1:{nobody.getsockname()[1]}")) as client:
            with pytest.raises(CallError):
                await client.statuses("demo", timeout_seconds=5)
            assert client.connections == 0


async def test_a_closed_client_leaves_no_task_behind(fronted):
    front, client_class = fronted
    async with aclosing(client_class(f"127.0.0.1:{front.port}")) as client:
        await answered(client)
        assert client.connections == 1
    assert not {task for task in asyncio.all_tasks() if "ConnectionCount" in repr(task)}
