"""How far `classify_many` is: a bar for people, numbers for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from sightserve.client.many import Item


@dataclass(frozen=True, slots=True)
class Progress:
    """After one more image."""

    done: int
    failed: int
    """Of those that are done."""
    total: int | None
    """None: the input does not say."""


OnProgress = Callable[[Progress], object]


class Counter:
    """Counts items and tells somebody."""

    def __init__(self, tell: OnProgress | None, images: object, total: int | None = None) -> None:
        self._tell = tell
        self._done = 0
        self._failed = 0
        self._total = len(images) if total is None and isinstance(images, Sized) else total

    def add(self, item: Item) -> None:
        """One more."""
        self._done += 1
        self._failed += item.error is not None
        if self._tell is not None:
            self._tell(Progress(self._done, self._failed, self._total))


def reporting(
    items: Iterator[Item],
    images: Iterable[Any],
    progress: OnProgress | bool,  # noqa: FBT001 - the caller's own argument, passed on
) -> Iterator[Item]:
    """The same items, told about as they go by."""
    with shown(progress) as tell:
        counter = Counter(tell, images)
        for item in items:
            counter.add(item)
            yield item


def shown(
    progress: OnProgress | bool,  # noqa: FBT001 - the caller's own argument, passed on
) -> AbstractContextManager[OnProgress | None]:
    """Whom to tell, for the length of a block."""
    if callable(progress):
        return nullcontext(progress)
    if not progress or not sys.stderr.isatty():
        return nullcontext(None)
    from sightserve.client.bar import progress_bar  # noqa: PLC0415 - rich, only where it is seen

    return progress_bar()
