"""Memory for all decodes together, counted before it is taken.

Large images may hold seven eighths of it, so that small ones always find room; while a large one
waits, small ones may hold no more than their eighth, so that it finds room too.
"""

from __future__ import annotations

from typing import Final

_EIGHTHS_FOR_LARGE: Final = 7
_LARGE_FRACTION: Final = 16


class MemoryBudget:
    """Counts; whoever waits is the pool's affair."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self._for_large = total_bytes * _EIGHTHS_FOR_LARGE // 8
        self._held = {True: 0, False: 0}

    @property
    def held_bytes(self) -> int:
        """What is granted and not yet given back."""
        return self._held[True] + self._held[False]

    @property
    def largest_bytes(self) -> int:
        """What one image can be granted at most."""
        return self._for_large

    def is_large(self, size: int) -> bool:
        """Whether an image of that price counts as a large one."""
        return size > self.total_bytes // _LARGE_FRACTION

    def fits(self, size: int, *, is_a_large_one_waiting: bool = False) -> bool:
        """Whether so much can be held now."""
        if self.held_bytes + size > self.total_bytes:
            return False
        if self.is_large(size):
            return self._held[True] + size <= self._for_large
        small = self._held[False]
        return (
            not is_a_large_one_waiting
            or small == 0
            or small + size <= self.total_bytes - self._for_large
        )

    def take(self, size: int) -> None:
        """Hold it; `fits` has said yes."""
        self._held[self.is_large(size)] += size

    def give_back(self, size: int) -> None:
        """What was taken, in one piece."""
        self._held[self.is_large(size)] -= size
