"""How far `classify_many` is, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass

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
