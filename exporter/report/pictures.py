"""Small pictures for a page, as data: URIs: nothing of a report is fetched from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Final

from PIL import Image

from contract.image_spec import ImageSpec
from contract.pixels import ImageError, decode
from exporter.accuracy.answers import read_file
from exporter.accuracy.mistakes import Mistake

_SIDE: Final = 112
_JPEG_QUALITY: Final = 80
_SPEC: Final = ImageSpec(height=_SIDE, width=_SIDE, fit="pad", background=(128, 128, 128))


def thumbnail(data: bytes) -> str | None:
    """A file, decoded with the gateway's care, as a small JPEG; None: it is no picture."""
    try:
        pixels = decode(data, _SPEC)
    except ImageError:
        return None
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def of_mistakes(mistakes: Sequence[Mistake]) -> list[str | None]:
    """Their pictures, in order; None where a file has gone."""
    return [_of_file(mistake) for mistake in mistakes]


def _of_file(mistake: Mistake) -> str | None:
    try:
        return thumbnail(read_file(mistake.file.path))
    except (OSError, ImageError):
        return None
