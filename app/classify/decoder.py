"""Image files to input rows, in worker threads: Pillow must never run in the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from app.classify.image_signature import ImageSignature
from app.errors import ImageTooLargeError, InvalidImageError, OverloadedError
from contract import pixels
from protocol.client import Row

_SMOOTHING = 0.05


@dataclass(frozen=True, slots=True)
class DecodedRow:
    """One encoded input row and what the file was."""

    row: bytes
    format: str
    width: int
    height: int
    seconds: float
    """Time in the worker thread, without waiting for it."""


class Decoder:
    """A bounded number of threads that decode."""

    def __init__(
        self,
        encode_row: Callable[[Row], bytes],
        *,
        threads: int,
        max_pixels: int,
        clock: Callable[[], float],
    ) -> None:
        self._encode_row = encode_row
        self._threads = threads
        self._limits = pixels.Limits(max_pixels=max_pixels)
        self._clock = clock
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._waiting = 0
        self._average_seconds = 0.0

    async def decode(
        self, data: bytes, signature: ImageSignature, *, deadline: float
    ) -> DecodedRow:
        """Decode one file to a row of the model's input.

        Raises:
            RequestError: not an image, damaged, or too large.
            OverloadedError: the threads are busy for longer than the deadline.
        """
        remaining = deadline - self._clock()
        wait = self._waiting * self._average_seconds / self._threads
        if wait > remaining > 0:
            raise OverloadedError("more images wait than can be decoded", retry_after_seconds=wait)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            decoded = await loop.run_in_executor(self._executor, self._work, data, signature)
        finally:
            self._waiting -= 1
        self._average_seconds += _SMOOTHING * (decoded.seconds - self._average_seconds)
        return decoded

    def close(self) -> None:
        """Let running threads finish, drop what waits."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _work(self, data: bytes, signature: ImageSignature) -> DecodedRow:
        started_at = self._clock()
        try:
            image = pixels.decode_image(data, signature.image, self._limits)
        except pixels.ImageTooLargeError as error:
            raise ImageTooLargeError(str(error)) from error
        except pixels.ImageError as error:
            raise InvalidImageError(str(error)) from error
        row = self._encode_row(signature.to_row(image.pixels))
        seconds = self._clock() - started_at
        return DecodedRow(row, image.format, image.width, image.height, seconds)
