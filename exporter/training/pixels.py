"""Every picture decoded once, by `contract.pixels` as the gateway decodes, into one file on disk.

Training reads it again and again through a memory map, so that memory stays the kernel's to give
and take however large the folder is: 150 kB a picture of 224 pixels. Written with plain writes, as
a memory map on a full disk kills its process instead of raising an error.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from contract.image_spec import ImageSpec
from contract.pixels import decode
from exporter.accuracy.answers import Broken, prepare_all
from exporter.accuracy.datasets import LabelledFile
from exporter.errors import FailedError

_AHEAD: Final = 64
_SPARE_BYTES: Final = 200_000_000
"""For the staged version's files and everybody else."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PixelFile:
    """Where the pixels lie."""

    path: Path
    count: int
    height: int
    width: int

    def open(self) -> Pixels:
        """uint8 [N,H,W,3], read from disk when they are looked at."""
        shape = (self.count, self.height, self.width, 3)
        return np.memmap(self.path, np.uint8, "r", shape=shape)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The pictures that could be decoded."""

    pixels: PixelFile
    files: tuple[LabelledFile, ...]
    """[N], in the order of the pixels."""
    digests: tuple[bytes, ...]
    """[N], of the pixels: copies of a picture have the same."""
    broken: tuple[Broken, ...]


def write(
    files: Sequence[LabelledFile],
    spec: ImageSpec,
    path: Path,
    on_progress: Callable[[int, int], None],
) -> Decoded:
    """Decode all files into `path`.

    Raises:
        FailedError: there is no room for them.
    """
    _require_room(len(files) * spec.height * spec.width * 3, path.parent)
    with path.open("wb") as out:
        return _write(files, spec, out, on_progress)


def _write(
    files: Sequence[LabelledFile],
    spec: ImageSpec,
    out: BinaryIO,
    on_progress: Callable[[int, int], None],
) -> Decoded:
    kept: list[LabelledFile] = []
    digests: list[bytes] = []
    broken: list[Broken] = []
    prepared = prepare_all(lambda data: decode(data, spec), files, _AHEAD)
    for done, (file, picture) in enumerate(zip(files, prepared, strict=True), start=1):
        if isinstance(picture, Broken):
            broken.append(picture)
        else:
            data = picture.tobytes()
            out.write(data)
            kept.append(file)
            digests.append(hashlib.sha256(data).digest())
        on_progress(done, len(files))
    pixels = PixelFile(Path(out.name), len(kept), spec.height, spec.width)
    return Decoded(pixels, tuple(kept), tuple(digests), tuple(broken))


def _require_room(needed_bytes: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + _SPARE_BYTES:
        raise FailedError(
            f"{folder}: the decoded pictures take {needed_bytes / 1e9:.1f} GB and "
            f"{free / 1e9:.1f} GB are free; set TMPDIR to a larger volume, or use a smaller "
            "--image-size"
        )
