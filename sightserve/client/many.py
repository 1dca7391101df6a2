"""Many images at a time, lazily: an `Item` each, whatever became of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, Literal, get_args

from sightserve.client.errors import SightserveError
from sightserve.client.results import Classification

Order = Literal["input", "completed"]

AHEAD: Final = 4
"""Of results that wait for a slower one before them there are at most so many times as many as
images in progress."""


@dataclass(frozen=True, slots=True)
class Item:
    """One image of many: `result`, or `error` where there is none."""

    index: int
    """In the input, from 0."""
    image: Any
    """As it was given."""
    result: Classification | None
    error: SightserveError | OSError | None
    seconds: float
    """From reading the image to its answer, retries included."""

    def unwrap(self) -> Classification:
        """The result; raises the error if there is none."""
        if self.result is None:
            raise self.error or AssertionError
        return self.result


def in_threads(
    classify: Callable[[Any], Classification], images: Iterable[Any], concurrency: int, order: Order
) -> Iterator[Item]:
    """Call `classify` for each image in so many threads; checks its arguments at once."""
    check(concurrency, order)
    return _in_threads(classify, images, concurrency, order)


def check(concurrency: int, order: str) -> None:
    """Raise ValueError for what these cannot be."""
    if concurrency < 1:
        raise ValueError(f"concurrency: {concurrency} is less than 1")
    if order not in get_args(Order):
        raise ValueError(f"order: {order!r} is neither 'input' nor 'completed'")


def one_item(classify: Callable[[Any], Classification], index: int, image: Any) -> Item:
    """The item of one image."""
    started_at = time.perf_counter()
    try:
        result = classify(image)
    except (SightserveError, OSError) as error:
        return Item(index, image, None, error, time.perf_counter() - started_at)
    return Item(index, image, result, None, time.perf_counter() - started_at)


def _in_threads(
    classify: Callable[[Any], Classification], images: Iterable[Any], concurrency: int, order: Order
) -> Iterator[Item]:
    numbered = enumerate(images)
    line = Line(order)
    threads = _Threads(classify, concurrency)
    try:
        while True:
            while threads.has_place and len(line) < AHEAD * concurrency:
                task = next(numbered, None)
                if task is None:
                    break
                threads.begin(task)
            if not threads.in_progress:
                return
            yield from line.after(threads.next_item())
    finally:
        threads.end()


class _Threads:
    """So many at most, started as needed."""

    def __init__(self, classify: Callable[[Any], Classification], count: int) -> None:
        self._classify = classify
        self._count = count
        self._started = 0
        self._tasks: SimpleQueue[tuple[int, Any] | None] = SimpleQueue()
        self._items: SimpleQueue[Item | BaseException] = SimpleQueue()
        self._is_over = False
        self.in_progress = 0

    @property
    def has_place(self) -> bool:
        return self.in_progress < self._count

    def begin(self, task: tuple[int, Any]) -> None:
        self._tasks.put(task)
        self.in_progress += 1
        if self._started < self.in_progress:
            # Daemons: a program that is ended does not wait for answers.
            threading.Thread(target=self._work, daemon=True, name="sightserve").start()
            self._started += 1

    def next_item(self) -> Item:
        """Wait for the next image to be done."""
        item = self._items.get()
        self.in_progress -= 1
        if isinstance(item, BaseException):
            raise item
        return item

    def end(self) -> None:
        """Begin nothing more; what is in progress is not waited for."""
        self._is_over = True
        for _ in range(self._started):
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None and not self._is_over:
            try:
                self._items.put(one_item(self._classify, *task))
            except BaseException as error:  # noqa: BLE001 - a wrong argument: the caller's to see
                self._items.put(error)


class Line:
    """Holds items back until all before them have come, if the order is the input's."""

    def __init__(self, order: Order) -> None:
        self._is_kept = order == "input"
        self._next = 0
        self._held: dict[int, Item] = {}

    def __len__(self) -> int:
        return len(self._held)

    def after(self, item: Item) -> Iterator[Item]:
        """What may go now that this one has come."""
        if not self._is_kept:
            yield item
            return
        self._held[item.index] = item
        while (found := self._held.pop(self._next, None)) is not None:
            self._next += 1
            yield found
