"""Gives memory back to the system after a version was loaded or freed.

Loading copies a graph several times over, and glibc keeps what was freed: ten swaps of a frozen
ResNet50 (100 MB) would leave 7 GB resident.
"""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Callable


def keep_what_is_loaded() -> None:
    """Exempt everything that lives now from collections: TensorFlow's modules take 0.3 s each."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Collect Python's garbage, then have the allocator return free pages."""
    gc.collect()
    _trim()()


@functools.cache
def _trim() -> Callable[[], object]:
    """Glibc's malloc_trim; nothing to do with other allocators and systems."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return functools.partial(trim, 0) if trim else lambda: None
