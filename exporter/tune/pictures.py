"""What a search asks about: the version's golden images, and the user's own pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.image_spec import ImageSpec
from contract.pixels import ImageError, decode
from exporter.accuracy.agreement import pictures
from exporter.errors import UsageError
from exporter.proof import goldens

MOST: Final = 512
"""Of the user's pictures; further ones change no figure."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Files and their pixels, golden images first."""

    files: tuple[bytes, ...]
    pixels: npt.NDArray[np.uint8]
    """[N+M,H,W,3]"""
    golden: npt.NDArray[np.float32]
    """The source's probabilities [N,C] of the golden images."""

    @property
    def has_further(self) -> bool:
        """Whether the user gave any."""
        return len(self.pixels) > len(self.golden)

    @property
    def sent(self) -> tuple[bytes, ...]:
        """What a gateway is asked about: the user's own pictures where there are any."""
        return self.files[len(self.golden) :] if self.has_further else self.files


def load(version: Path, spec: ImageSpec, folder: Path | None) -> Pictures:
    """Read the version's golden images and a folder of pictures.

    Raises:
        FailedError: the version has no golden images.
        UsageError: there is no such folder, or one of its files is no image.
    """
    kept = goldens.read(version)
    found = pictures(folder)[:MOST] if folder else []
    files = [file.read_bytes() for file in found]
    rows = [_decode(data, spec, file) for data, file in zip(files, found, strict=True)]
    pixels = np.concatenate([kept.pixels, np.stack(rows)]) if rows else kept.pixels
    return Pictures((*kept.files, *files), pixels, kept.probabilities)


def _decode(data: bytes, spec: ImageSpec, file: Path) -> npt.NDArray[np.uint8]:
    try:
        return decode(data, spec)
    except ImageError as error:
        raise UsageError(f"--images: {file}: {error}") from error
