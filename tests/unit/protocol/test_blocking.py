"""Programs without an event loop can be interrupted whatever a call is doing."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from protocol.blocking import BlockingClient
from protocol.client import CallError
from protocol.codes import Code
from protocol.rest_client import RestClient


class EndedError(KeyboardInterrupt):
    """What the program's own handler raises."""


def end(*_):
    raise EndedError


def about_to_fail(number):
    async def statuses(*_, **__):
        signal.raise_signal(number)
        raise CallError(Code.UNAVAILABLE, "nobody listens yet")

    return statuses


def about_to_answer(number):
    async def statuses(*_, **__):
        signal.raise_signal(number)
        return []

    return statuses


def waiting(number):
    async def statuses(*_, **__):
        loop = asyncio.get_running_loop()
        loop.call_soon(signal.raise_signal, number)
        await loop.create_future()

    return statuses


def refusing_to_stop(number):
    async def statuses(*_, **__):
        signal.raise_signal(number)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return []

    return statuses


CALLS = [about_to_fail, about_to_answer, waiting, refusing_to_stop]


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request):
    before = signal.signal(request.param, end)
    yield request.param
    assert signal.signal(request.param, before) is end


@pytest.mark.parametrize("call", CALLS)
def test_a_signal_ends_a_call_at_any_moment(monkeypatch, number, call):
    monkeypatch.setattr(RestClient, "statuses", call(number))
    with BlockingClient("http://127.0.0.1:1", timeout_seconds=5) as client:
        with pytest.raises(EndedError):
            client.statuses("m")
        monkeypatch.undo()
        with pytest.raises(CallError):
            client.statuses("m")


def test_a_second_signal_does_not_wait_for_a_call_that_goes_on(monkeypatch, number):
    signals = []

    async def statuses(*_, **__):
        with suppress(asyncio.CancelledError):
            signal.raise_signal(number)
            await asyncio.sleep(0)
        signals.append("first")
        signal.raise_signal(number)
        signals.append("second")

    monkeypatch.setattr(RestClient, "statuses", statuses)
    client = BlockingClient("http://127.0.0.1:1", timeout_seconds=5)
    with client, pytest.raises(EndedError):
        client.statuses("m")
    assert signals == ["first"]


def test_what_is_not_handled_here_stays_with_the_system(monkeypatch):
    seen = []

    async def statuses(*_, **__):
        seen.extend(signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM))
        return []

    monkeypatch.setattr(RestClient, "statuses", statuses)
    before = [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGINT, signal.SIGTERM)]
    try:
        with BlockingClient("http://127.0.0.1:1", timeout_seconds=5) as client:
            client.statuses("m")
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    assert seen == [signal.SIG_DFL, signal.SIG_DFL]


def test_threads_leave_signals_alone():
    with ThreadPoolExecutor(1) as pool:
        client = pool.submit(BlockingClient, "http://127.0.0.1:1", timeout_seconds=5).result()
        with pytest.raises(CallError):
            pool.submit(client.statuses, "m").result()
        pool.submit(client.__exit__, None, None, None).result()
