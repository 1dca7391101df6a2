"""Image files to input rows of a signature, in worker processes: Pillow never runs in this one."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from app.classify.image_signature import ImageSignature
from app.decode.job import Decoded
from app.decode.pool import DecodePool
from app.errors import OverloadedError
from protocol.rows import RowEncoding

_SIGNATURES = 64
_STUCK_SECONDS = 20.0
"""Longer than one image may take by default: by then a worker has ended, well or not."""


class Decoder:
    """Decodes for signatures; refuses at once what could not be decoded in time."""

    def __init__(
        self, pool: DecodePool, *, row_encoding: RowEncoding, clock: Callable[[], float]
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._plan = lru_cache(_SIGNATURES)(
            lambda signature: signature.plan(row_encoding).to_bytes()
        )

    @property
    def trouble(self) -> str | None:
        """Why no image can be decoded, if none can; for readiness."""
        seconds = self._pool.stalled_seconds
        return None if seconds < _STUCK_SECONDS else f"no image decoded for {seconds:.0f} s"

    async def decode(
        self, data: bytes, signature: ImageSignature, *, deadline: float, client: str = ""
    ) -> Decoded:
        """Decode one file to a row of the model's input.

        Raises:
            RequestError: not an image, damaged, too large, or too costly.
            OverloadedError: the workers are busy for longer than the deadline.
        """
        remaining = deadline - self._clock()
        wait = self._pool.predicted_wait_seconds(client)
        if wait > remaining > 0:
            raise OverloadedError(
                "more images wait than can be decoded",
                retry_after_seconds=wait,
                refusal="decoding",
            )
        return await self._pool.decode(
            data, self._plan(signature), deadline=deadline, client=client
        )
