"""How long a batch takes: a fixed part and a part per item, learned from the batches that ran."""

from __future__ import annotations

from typing import Final

_DECAY: Final = 0.9
"""What a batch's weight falls to with each that follows: about ten count."""
_ORIGIN_WEIGHT: Final = 0.1
"""Nothing takes no time. Weighs little, but says where the line goes while all batches have one
size: the time is then taken to be the items'."""
_MIN_BATCHES: Final = 16
_ENOUGH_ITEMS: Final = 8
"""So many are batched whatever the line says: it is a guess, and each call costs us something."""
_ENOUGH_FIXED_TIMES: Final = 19
"""Beyond a batch whose items take so many times its fixed part, a twentieth is all there is to
save: it would only be longer."""
_TRIES_EVERY: Final = 16
"""Every so many batches one is twice as large, or a line would never be learned that says that
larger ones pay."""


class BatchTimes:
    """A line through sizes and times by least squares, newer batches counting more."""

    def __init__(self) -> None:
        self._weight = 0.0
        self._sizes = 0.0
        self._seconds = 0.0
        self._squares = 0.0
        self._products = 0.0
        self._fixed_seconds = 0.0
        self._item_seconds = 0.0
        self._batches = 0

    def observe(self, size: int, seconds: float) -> None:
        """A batch of that size took so long."""
        self._batches += 1
        self._weight = self._weight * _DECAY + 1
        self._sizes = self._sizes * _DECAY + size
        self._seconds = self._seconds * _DECAY + seconds
        self._squares = self._squares * _DECAY + size * size
        self._products = self._products * _DECAY + size * seconds
        weight = self._weight + _ORIGIN_WEIGHT
        spread = weight * self._squares - self._sizes**2
        slope = (weight * self._products - self._sizes * self._seconds) / spread
        # neither part is below 0: what noise takes from one belongs to the other
        slope = max(0.0, min(slope, self._products / self._squares))
        self._item_seconds = slope
        self._fixed_seconds = max(0.0, (self._seconds - slope * self._sizes) / self._weight)

    @property
    def is_known(self) -> bool:
        """Whether any batch ran."""
        return self._batches > 0

    @property
    def is_learned(self) -> bool:
        """Whether enough ran to tell the first one's warmup from the rest."""
        return self._batches >= _MIN_BATCHES

    def predict(self, size: int) -> float:
        """Seconds that a batch of that size takes; 0 while nothing is known."""
        return self._fixed_seconds + size * self._item_seconds

    @property
    def is_due_a_try(self) -> bool:
        """Whether the next batch should be twice as large, to learn what that costs."""
        return self._batches % _TRIES_EVERY == 0 or self._batches in {2, 4, 8}

    @property
    def paying_size(self) -> int:
        """The size from which on larger batches hardly pay: a third of their time is fixed."""
        return 1 + int(2 * self._fixed_seconds / self._item_seconds) if self._item_seconds else 1

    def worthwhile_size(self, most: int) -> int:
        """The size, up to `most`, beyond which a batch would only be longer, and save nothing."""
        if self._item_seconds <= 0:
            return most
        worth_it = int(_ENOUGH_FIXED_TIMES * self._fixed_seconds / self._item_seconds)
        return min(most, max(_ENOUGH_ITEMS, worth_it))

    def size_within(self, seconds: float, *, most: int) -> int:
        """The largest batch that takes no longer, from 1 to `most`.

        Where the fixed part is most of the time, small batches would waste it: so many items that
        they take as long as the fixed part are always allowed.
        """
        if self._item_seconds <= 0:
            return most
        for_items = max(seconds - self._fixed_seconds, self._fixed_seconds)
        return max(1, min(most, int(for_items / self._item_seconds)))
