"""Small pictures for a page, as data: URIs: nothing of a report is fetched from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from contract.image_spec import ImageSpec
from contract.pixels import ImageError, decode
from exporter.accuracy.answers import read_file
from exporter.accuracy.mistakes import Mistake

_SIDE: Final = 112
_JPEG_QUALITY: Final = 80
_BACKGROUND: Final = (128, 128, 128)


def thumbnail(data: bytes, side: int = _SIDE) -> str | None:
    """A file, decoded with the gateway's care, as a small JPEG; None: it is no picture."""
    spec = ImageSpec(height=side, width=side, fit="pad", background=_BACKGROUND)
    try:
        pixels = decode(data, spec)
    except ImageError:
        return None
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def of_mistakes(mistakes: Sequence[Mistake]) -> list[str | None]:
    """Their pictures, in order; None where a file has gone."""
    return [of_file(mistake.file.path) for mistake in mistakes]


def of_file(path: Path, side: int = _SIDE) -> str | None:
    """One of them; None where it has gone, or is no picture."""
    try:
        return thumbnail(read_file(path), side)
    except (OSError, ImageError):
        return None
