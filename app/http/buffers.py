"""Memory for request bodies: how much has arrived, for all requests together and for each client.

What counts is what has arrived, not what was announced: a client that promises 20 MB and sends
nothing holds nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import OverloadedError


class Holding:
    """The bytes of one request's body."""

    def __init__(self, buffers: Buffers, client: str) -> None:
        self._buffers = buffers
        self._client = client
        self.bytes = 0

    def grow_to(self, total_bytes: int) -> None:
        """Hold so many bytes.

        Raises:
            OverloadedError: the client, or all clients together, would hold too many.
        """
        self._buffers.take(self._client, total_bytes - self.bytes)
        self.bytes = total_bytes


class Buffers:
    """Counts bytes; allocates nothing.

    A client may hold as much as is still free, so half when it is alone and less the more others
    hold (dynamic thresholds, as switches share their memory between ports). One body always fits.
    """

    def __init__(self, *, max_bytes: int, max_body_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._max_body_bytes = max_body_bytes
        self._of_client: Counter[str] = Counter()
        self.bytes = 0

    @contextmanager
    def hold(self, client: str) -> Iterator[Holding]:
        """Account for one request's body, for as long as the block runs."""
        holding = Holding(self, client)
        try:
            yield holding
        finally:
            self.bytes -= holding.bytes
            self._of_client[client] -= holding.bytes
            if not self._of_client[client]:
                del self._of_client[client]

    def take(self, client: str, more_bytes: int) -> None:
        """Used by holdings."""
        if self.bytes + more_bytes > self._max_bytes:
            raise OverloadedError("too many uploads are in progress", refusal="uploads")
        its_bytes = self._of_client[client] + more_bytes
        free_bytes = self._max_bytes - self.bytes - more_bytes
        if its_bytes > max(free_bytes, self._max_body_bytes):
            raise OverloadedError("this client has too many uploads in progress", refusal="uploads")
        self._of_client[client] = its_bytes
        self.bytes += more_bytes
