"""A service under load: its pictures as requests, and what its answers are worth."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sightserve.bench.errors import BenchError
from sightserve.bench.http import Answer, Client, Target
from sightserve.bench.load import Ask

_OK: Final = 200
_SHOWN: Final = 200

Judge = Callable[[int, bytes], bool]
"""Whether the body of an answer is right for the picture of that index."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A request and what people call it."""

    name: str
    request: bytes


def asker(
    client: Client, pictures: Sequence[Picture], timeout: float, judge: Judge | None = None
) -> Ask:
    """Asks for the pictures in turn.

    Args:
        client: of the service.
        pictures: at least one.
        timeout: seconds for each.
        judge: looks into the answers; None: every 200 is right.
    """

    async def ask(number: int) -> str:
        index = number % len(pictures)
        try:
            async with asyncio.timeout(timeout):
                answer = await client.ask(pictures[index].request)
        except TimeoutError:
            return "timeout"
        except ConnectionRefusedError:
            return "connection refused"
        except OSError:
            return "connection lost"
        if answer.status != _OK:
            return f"HTTP {answer.status}"
        return "" if judge is None or judge(index, answer.body) else "wrong answer"

    return ask


async def probe(target: Target, pictures: Sequence[Picture], timeout_seconds: float) -> None:
    """Ask for every picture once, before any load.

    Raises:
        BenchError: nothing answers, or not with 200; it says which picture.
    """
    client = Client(target)
    try:
        for picture in pictures:
            answer = await _answer(client, target, picture, timeout_seconds)
            if answer.status != _OK:
                raise BenchError(
                    f"{picture.name}: {target.url} answered {answer.status}{_why(answer)}"
                )
    finally:
        client.close()


async def _answer(
    client: Client, target: Target, picture: Picture, timeout_seconds: float
) -> Answer:
    try:
        async with asyncio.timeout(timeout_seconds):
            return await client.ask(picture.request)
    except TimeoutError:
        raise BenchError(f"{target.url} did not answer within {timeout_seconds:g} s") from None
    except ConnectionRefusedError:
        raise BenchError(f"nothing listens on {target.netloc}: start the service first") from None
    except ssl.SSLError as error:
        raise BenchError(f"{target.url}: {error.reason or error}") from None
    except OSError as error:
        raise BenchError(f"{target.url}: {error.strerror or error}") from None


def _why(answer: Answer) -> str:
    """What a body says about a failure, in one line."""
    found: Any = None
    with suppress(ValueError, RecursionError):
        found = json.loads(answer.body)
    if isinstance(found, dict):
        said = (found.get(name) for name in ("detail", "title", "error"))
        text = next((each for each in said if isinstance(each, str) and each), "")
    else:
        text = answer.body[:_SHOWN].decode("utf-8", "replace")
    text = " ".join(text.split())
    return f": {text}" if text else ", and nothing else"
