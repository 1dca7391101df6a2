"""What workers share, what is divided among them, and when one is started again."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from app.settings.gateway import Settings, SettingsError, load_settings
from app.workers.line import Line, LineClosedError
from app.workers.listeners import PortError, bind
from app.workers.part import Part
from app.workers.restarts import MOST_DEATHS, WINDOW_SECONDS, Restarts
from app.workers.share import share_of

DIVIDED = (
    "cache_bytes",
    "decode_memory_bytes",
    "decode_workers",
    "max_buffered_bytes",
    "max_connections",
    "max_queue",
)


def settings(**changes):
    return Settings(model_name="m", **changes)


def test_parts_add_up_to_what_was_set():
    whole = settings(workers=3, decode_workers=7, max_connections=1000, cache_bytes=100)
    parts = [share_of(whole, number) for number in (1, 2, 3)]
    for name in DIVIDED:
        values = [getattr(part, name) for part in parts]
        assert sum(values) == getattr(whole, name)
        assert max(values) - min(values) <= 1
    same = set(Settings.model_fields) - set(DIVIDED)
    assert all(getattr(part, name) == getattr(whole, name) for part in parts for name in same)


def test_each_worker_has_by_default_what_one_alone_has():
    alone, three = settings(), settings(workers=3)
    for name in ("decode_memory_bytes", "max_buffered_bytes", "max_connections", "max_queue"):
        assert getattr(three, name) == 3 * getattr(alone, name)
        assert getattr(share_of(three, 2), name) == getattr(alone, name)
    assert settings(workers=64).decode_workers >= 64


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("decode_workers", 2), ("max_connections", 2), ("max_queue", 2),
        ("max_buffered_bytes", 200_000_000), ("decode_memory_bytes", 914_285_714),
    ],
)  # fmt: skip
def test_what_is_too_little_for_each_is_refused_with_what_would_do(name, least, monkeypatch):
    monkeypatch.setenv("GATEWAY_MODEL_NAME", "m")
    monkeypatch.setenv("GATEWAY_WORKERS", "2")
    monkeypatch.setenv(f"GATEWAY_{name.upper()}", str(least))
    assert getattr(load_settings(), name) == least
    monkeypatch.setenv(f"GATEWAY_{name.upper()}", str(least - 1))
    with pytest.raises(SettingsError, match=rf"GATEWAY_{name.upper()} is for all .* {least} "):
        load_settings()


def test_a_part_survives_the_command_line(monkeypatch):
    monkeypatch.setenv("GATEWAY_MAX_QUEUE", "100")
    part = Part(
        2, 3, [4, 5], [6], 7, is_replacement=True, options={"model_name": "m", "workers": 2}
    )
    read = Part.from_json(part.to_json())
    assert read == part
    assert sorted(part.descriptors) == [3, 4, 5, 6, 7]
    assert (read.settings().model_name, read.settings().max_queue) == ("m", 50)
    assert json.loads(part.to_json())["number"] == 2


def test_who_had_settled_is_replaced_at_once_and_others_ever_later():
    restarts = Restarts()
    assert restarts.pause(1000.0, lived_seconds=500.0) == 0
    pauses = [restarts.pause(2000.0 + 20 * number, lived_seconds=1.0) for number in range(9)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.1, 5.0)
    assert restarts.pause(3000.0, lived_seconds=10.0) == 0
    assert restarts.pause(3001.0, lived_seconds=1.0) == 0.1


def test_too_many_deaths_in_a_minute_are_the_end():
    restarts = Restarts()
    for number in range(MOST_DEATHS):
        assert restarts.pause(number, lived_seconds=100.0) == 0
    assert restarts.pause(WINDOW_SECONDS - 1, lived_seconds=100.0) is None
    restarts = Restarts()
    for number in range(10 * MOST_DEATHS):
        at = number * WINDOW_SECONDS / MOST_DEATHS
        assert restarts.pause(at, lived_seconds=100.0) == 0


async def lines(answer_one, answer_other):
    one, other = socket.socketpair()
    return await Line.over(one, answer_one), await Line.over(other, answer_other)


@pytest.mark.anyio
async def test_both_ends_ask_at_once_and_get_their_own_answers():
    async def double(question):
        await asyncio.sleep(0.001 * (5 - int(question)))  # the first asked is the last to answer
        return question * 2

    async def shout(question):
        return question.upper() * 100_000

    one, other = await lines(double, shout)
    runs = [asyncio.create_task(each.run()) for each in (one, other)]
    numbers = [b"%d" % number for number in range(5)]
    answers = await asyncio.gather(*(other.ask(each) for each in numbers), one.ask(b"a"))
    assert answers == [*(each * 2 for each in numbers), b"A" * 100_000]
    one.stop()
    await other.is_stop_asked.wait()
    assert not one.is_stop_asked.is_set()
    assert await other.ask(b"1") == b"11"  # it may still ask
    one.close()
    await asyncio.gather(*runs)


@pytest.mark.anyio
async def test_who_asks_somebody_that_ends_is_told():
    async def never(_):
        await asyncio.Event().wait()
        return b""

    one, other = await lines(never, never)
    runs = [asyncio.create_task(each.run()) for each in (one, other)]
    asked = asyncio.create_task(one.ask(b"?"))
    await asyncio.sleep(0)
    other.close()
    with pytest.raises(LineClosedError):
        await asked
    await asyncio.gather(*runs)
    assert one.is_stop_asked.is_set()
    with pytest.raises(LineClosedError):
        await one.ask(b"?")


def test_every_address_of_a_host_is_bound():
    (one,) = bind("127.0.0.1", 0, "GATEWAY_PORT")
    with one:
        port = one.getsockname()[1]
        assert one.gettimeout() == 0
        one.listen()
        with pytest.raises(PortError, match=f"GATEWAY_PORT: 127.0.0.1:{port} cannot be opened"):
            bind("127.0.0.1", port, "GATEWAY_PORT")
    for each in bind("", 0, "GATEWAY_PORT"):
        each.close()


def test_a_name_that_is_none_is_an_error_of_one_line():
    with pytest.raises(PortError, match=r"GATEWAY_ADMIN_PORT: no\.such\.host\.invalid:1 cannot"):
        bind("no.such.host.invalid", 1, "GATEWAY_ADMIN_PORT")
