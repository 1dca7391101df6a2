"""Who is let in: a bound on images in progress and on bytes held, checked before any work.

Both bounds are counters in the event loop: no locks, nothing to wait for. A refused request costs
a small answer; a request without a bound would cost its body's memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import OverloadedError


class Reservation:
    """Bytes held for one request's body; it grows while the body arrives."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.bytes = 0

    def grow_to(self, total_bytes: int) -> None:
        """Hold at least so many bytes.

        Raises:
            OverloadedError: all requests together would hold too many.
        """
        if total_bytes > self.bytes:
            self._admission.hold(total_bytes - self.bytes)
            self.bytes = total_bytes


class Admission:
    """Counts images in progress and bytes held."""

    def __init__(self, *, max_images: int, max_bytes: int) -> None:
        self._max_images = max_images
        self._max_bytes = max_bytes
        self.images = 0
        self.bytes = 0

    @contextmanager
    def enter(self) -> Iterator[Reservation]:
        """Let one request with one image in, for as long as the block runs.

        Raises:
            OverloadedError: enough is in progress.
        """
        with self.images_in_progress(1):
            reservation = Reservation(self)
            try:
                yield reservation
            finally:
                self.bytes -= reservation.bytes

    @contextmanager
    def images_in_progress(self, count: int) -> Iterator[None]:
        """Count further images, as a batch request brings them."""
        if self.images + count > self._max_images:
            raise OverloadedError("too many images are in progress")
        self.images += count
        try:
            yield
        finally:
            self.images -= count

    def hold(self, more_bytes: int) -> None:
        """Used by reservations."""
        if self.bytes + more_bytes > self._max_bytes:
            raise OverloadedError("too many uploads are in progress")
        self.bytes += more_bytes
