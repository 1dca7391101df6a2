"""The load client itself, against a server of a few lines."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.load.client import Client, closed_loop, image_request, open_loop, poisson, steady

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request):
    return "asyncio", {"use_uvloop": request.param}


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: value\r\n\r\nok"


@asynccontextmanager
async def server(*writes, closes=False, delay=0.0):
    """Answers each request with these writes; yields its URL and the list of its connections."""
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                await asyncio.sleep(delay)
                for data in writes:
                    writer.write(data)
                    await writer.drain()
                if closes:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        port = running.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", connections


async def test_asks_on_one_connection_as_long_as_it_lives():
    async with server(OK[:20], OK[20:-1], OK[-1:]) as (url, connections):
        client = Client(url)
        answers = [await client.ask(image_request(b"x" * 100)) for _ in range(3)]
        assert [(each.status, each.body) for each in answers] == [(200, b"ok")] * 3
        assert answers[0].header("x-name") == "value"
        assert answers[0].header("other") is None
        assert len(connections) == 1
        client.close()


async def test_reads_to_the_end_of_the_connection_and_skips_interim_answers():
    parts = (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 413 No\r\n\r\ntoo ", b"large")
    async with server(*parts, closes=True) as (url, _):
        answer = await Client(url).ask(image_request(b"x"))
        assert (answer.status, answer.body) == (413, b"too large")


async def test_failures_are_answers_without_a_status():
    async with server(OK[:-1], closes=True) as (url, _):
        answer = await Client(url).ask(image_request(b"x"))
        assert (answer.status, answer.outcome) == (0, "EOFError")
    answer = await Client(url).ask(image_request(b"x"))
    assert answer.outcome == "ConnectionRefusedError"


async def test_an_impatient_client_leaves():
    async with server(OK, delay=5.0) as (url, _):
        answer = await Client(url).ask(image_request(b"x"), timeout=0.05)
        assert answer.outcome == "timeout"
        assert answer.seconds < 5.0


async def test_open_loop_counts_from_when_a_request_was_due():
    async with server(OK, delay=0.05) as (url, connections):
        client = Client(url)

        def ask(_number, due):
            return client.ask(image_request(b"x"), due=due)

        answers = await open_loop(ask, steady(1000, 0.02))
        assert [each.status for each in answers] == [200] * 20
        assert len(connections) > 1
        assert all(each.seconds >= 0.04 for each in answers)
        client.close()


async def test_closed_loop_keeps_so_many_clients_asking():
    async with server(OK) as (url, connections):
        client = Client(url)

        def ask(_number):
            return client.ask(image_request(b"x"))

        answers = await closed_loop(ask, clients=3, seconds=0.1)
        assert {each.status for each in answers} == {200}
        assert len(connections) == 3
        client.close()


def test_poisson_has_the_rate_and_repeats_by_its_seed():
    offsets = list(poisson(100, 50))
    assert 4500 < len(offsets) < 5500
    assert offsets == sorted(offsets)
    assert offsets == list(poisson(100, 50))
    assert offsets != list(poisson(100, 50, seed=2))
