"""`many`, with tasks for threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from sightserve.client.errors import SightserveError
from sightserve.client.many import AHEAD, Item, Line, Order, check
from sightserve.client.results import Classification

Classify = Callable[[Any], Awaitable[Classification]]


async def in_tasks(
    classify: Classify,
    images: Iterable[Any] | AsyncIterable[Any],
    concurrency: int,
    order: Order,
) -> AsyncIterator[Item]:
    """Await `classify` for each image, so many at a time."""
    check(concurrency, order)
    source = _numbered(images)
    line = Line(order)
    tasks: set[asyncio.Task[Item]] = set()
    try:
        while True:
            while len(tasks) < concurrency and len(line) < AHEAD * concurrency:
                numbered = await anext(source, None)
                if numbered is None:
                    break
                tasks.add(asyncio.create_task(_one_item(classify, *numbered)))
            if not tasks:
                return
            done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                for item in line.after(task.result()):
                    yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _numbered(
    images: Iterable[Any] | AsyncIterable[Any],
) -> AsyncIterator[tuple[int, Any]]:
    number = 0
    if isinstance(images, AsyncIterable):
        async for image in images:
            yield number, image
            number += 1
        return
    for image in images:
        yield number, image
        number += 1


async def _one_item(classify: Classify, index: int, image: Any) -> Item:
    started_at = time.perf_counter()
    try:
        result = await classify(image)
    except (SightserveError, OSError) as error:
        return Item(index, image, None, error, time.perf_counter() - started_at)
    return Item(index, image, result, None, time.perf_counter() - started_at)
