"""A queue that takes turns between clients: first in, first out for each of them.

A batch request is many images of one client, so it takes one client's turns; whoever sends one
image waits for one image of each other client, however many those have sent.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items by client. `append`, `peek` and `pop` take constant time, however many there are."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, deque[T]] = OrderedDict()
        self.count = 0
        """Of all clients' items."""

    def append(self, client: str, item: T) -> None:
        """Queue an item behind the client's others."""
        self._turns.setdefault(client, deque()).append(item)
        self.count += 1

    def peek(self) -> T | None:
        """The next item, which stays."""
        return next(iter(self._turns.values()))[0] if self._turns else None

    def pop(self) -> T:
        """The next item; its client's next one comes after one of each other client."""
        client, items = self._turns.popitem(last=False)
        item = items.popleft()
        if items:
            self._turns[client] = items
        self.count -= 1
        return item

    def remove(self, client: str, item: T) -> bool:
        """Forget an item; whether it was there."""
        items = self._turns.get(client)
        if items is None or item not in items:
            return False
        items.remove(item)
        if not items:
            del self._turns[client]
        self.count -= 1
        return True

    def ahead_of(self, client: str) -> int:
        """How many items come before a new one of the client."""
        ahead = own = len(self._turns.get(client, ()))
        rounds = own + 1
        for other, items in self._turns.items():
            if other == client:
                rounds = own  # who stands behind it comes once less often
            else:
                ahead += min(len(items), rounds)
        return ahead
