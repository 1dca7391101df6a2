"""Worker processes that decode, and what one image and all together may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import Field, model_validator

from app.container import usable_cpus
from app.settings.room import ForEachWorker, Room

_MEGABYTE: Final = 1_000_000
_MOST_DEFAULT_WORKERS: Final = 8


def _default_workers(data: Mapping[str, Any]) -> int:
    """Two per CPU, as one idles while its row is handed on; eight are as fast as one event loop."""
    gateways: int = data.get("workers", 1)
    return max(gateways, min(_MOST_DEFAULT_WORKERS * gateways, 2 * usable_cpus()))


class DecodingSettings(Room):
    """Of the pool and of each image: see `app.decode`."""

    max_image_pixels: int = Field(
        default=64_000_000,
        ge=1,
        le=1_000_000_000,
        description="Width x height of the largest image that is decoded.",
    )
    decode_workers: int = Field(
        default_factory=_default_workers,
        ge=1,
        le=256,
        description="Processes that decode images, and as many again while some images take long. "
        "Default: two for each CPU that they may use, at most 8 for each of GATEWAY_WORKERS.",
    )
    decode_timeout_seconds: float = Field(
        default=5.0,
        gt=0,
        le=600,
        description="CPU time for decoding one image; then its process is killed and the answer "
        "is 422. A fifth of it while such images hold every process and others wait.",
    )
    max_image_memory_bytes: int = Field(
        default=400 * _MEGABYTE,
        ge=32 * _MEGABYTE,
        description="Memory that decoding one image may take, its file included; known from its "
        "header. More is refused with 413. Bytes per pixel: WebP 16, PNG 5 (with transparency 9 to "
        "12), GIF and BMP 5 to 9, progressive JPEG 3 to 8, other JPEG less than 1.",
    )
    decode_memory_bytes: int = Field(
        default_factory=ForEachWorker(512 * _MEGABYTE),
        ge=64 * _MEGABYTE,
        description="Memory for decoding, all images together: an image waits while others hold "
        "it. Large images (a sixteenth of it) may hold seven eighths.",
    )

    @model_validator(mode="after")
    def _the_largest_image_fits(self) -> Self:
        if self.max_image_memory_bytes > self.decode_memory_bytes * 7 // 8:
            raise ValueError(
                "GATEWAY_DECODE_MEMORY_BYTES must be at least eight sevenths of "
                "GATEWAY_MAX_IMAGE_MEMORY_BYTES"
            )
        return self
