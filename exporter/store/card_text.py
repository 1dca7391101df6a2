"""The card inside a written graph, which can be told more without the graph being read.

The card tells what a second engine answers, and that engine is made of the written graph, in a
process that need not hold TensorFlow's copies of the weights. So the graph is written with a card
that has blanks behind it, which JSON allows, and what is found later takes their place: the same
number of bytes, at the same place of the file.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

from exporter.errors import FailedError

_ROOM_BYTES: Final = 1024
"""Three precisions of one engine with all their figures take some 800."""


def with_room(text: str) -> str:
    """A card's JSON with blanks behind it."""
    return text + " " * _ROOM_BYTES


def replace(version_path: Path, old: str, new: str) -> str:
    """Put another card into a staged version's graph.

    Args:
        version_path: the staged version's folder.
        old: what the graph answers now, to the byte.
        new: JSON of at most as many bytes.

    Returns:
        What the graph answers from now on: `new` and blanks.

    Raises:
        FailedError: there is no room for it, or `old` is not in the graph.
    """
    before, after = old.encode(), new.rstrip().encode()
    if len(after) > len(before):
        raise FailedError(f"no room for a card of {len(after)} bytes in {len(before)}")
    after = after.ljust(len(before))
    found = 0
    with (
        (version_path / "saved_model.pb").open("r+b") as file,
        mmap.mmap(file.fileno(), 0) as content,
    ):
        place = content.find(before)
        while place >= 0:
            content[place : place + len(before)] = after
            found += 1
            place = content.find(before, place + len(before))
    if not found:
        raise FailedError(f"{version_path}: its graph does not hold the card that was written")
    return after.decode()
