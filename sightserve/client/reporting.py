"""Telling how far `classify_many` is: a bar for people, calls for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sightserve.client.many import Item
from sightserve.client.progress import Counter, OnProgress


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
