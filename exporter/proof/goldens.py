"""Golden images: fixed inputs with the source model's answers, kept beside every version.

Drawn by code rather than shipped, so the gate needs neither network nor data. A folder of the
user's own images may join them.

    assets.extra/goldens/00.png …    the files, as a client would send them
    assets.extra/goldens.npz         pixels uint8 [N,H,W,3], probabilities float32 [N,C],
                                     encoded_probabilities float32 [N,C] (of top_k_encoded)
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from contract.pixels import ImageError, ImageSpec, decode
from exporter.errors import FailedError, UsageError
from exporter.options import GoldenFile

FOLDER: Final = Path("assets.extra") / "goldens"
ARRAYS: Final = Path("assets.extra") / "goldens.npz"

MAX_FROM_FOLDER: Final = 32
_JPEG_QUALITY: Final = 92
_SEED: Final = 20


@dataclass(frozen=True, slots=True)
class Goldens:
    """Images and the answers that every copy of this version must give."""

    files: tuple[bytes, ...]
    pixels: npt.NDArray[np.uint8]
    """[N,H,W,3], what `pixels.decode` makes of the files."""
    probabilities: npt.NDArray[np.float32]
    """[N,C], the source model's."""
    encoded_probabilities: npt.NDArray[np.float32]
    """[N,C], of the files decoded in the graph."""


def draw() -> tuple[GoldenFile, ...]:
    """Eight images of different size, shape, format and content, the same every time."""
    random = np.random.default_rng(_SEED)
    pictures = [
        _gradient(360, 480),
        _waves(480, 360),
        _waves(333, 500),
        _blobs(random, 400, 400),
        _blobs(random, 240, 640),
        random.integers(0, 256, (96, 96, 3), dtype=np.uint8),
        np.full((64, 64, 3), 127, dtype=np.uint8),
        np.kron(_checkers(9, 7), np.ones((40, 40, 1), dtype=np.uint8)),
    ]
    return tuple(
        _encode(picture, "JPEG" if index % 2 == 0 else "PNG")
        for index, picture in enumerate(pictures)
    )


def read_folder(folder: Path) -> tuple[GoldenFile, ...]:
    """The first images of a folder, by name; of the kinds that TensorFlow decodes, by their suffix.

    Raises:
        UsageError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise UsageError(f"--golden-dir {folder}: there is no such folder")
    suffixes = {".jpg", ".jpeg", ".png", ".gif", ".bmp"}
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes]
    if not found:
        raise UsageError(f"--golden-dir {folder}: no JPEG, PNG, GIF or BMP file in it")
    return tuple(
        GoldenFile(path.suffix.lower(), path.read_bytes()) for path in found[:MAX_FROM_FOLDER]
    )


def to_pixels(files: Sequence[GoldenFile], spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Decode as the gateway does: uint8 [N,H,W,3].

    Raises:
        UsageError: one of the files is no image.
    """
    try:
        return np.stack([decode(file.data, spec) for file in files])
    except ImageError as error:
        raise UsageError(f"golden image: {error}") from error


def write(version: Path, files: Sequence[GoldenFile], goldens: Goldens) -> None:
    """Put them beside a staged version."""
    folder = version / FOLDER
    folder.mkdir(parents=True)
    for index, file in enumerate(files):
        (folder / f"{index:02}{file.suffix}").write_bytes(file.data)
    np.savez_compressed(
        version / ARRAYS,
        pixels=goldens.pixels,
        probabilities=goldens.probabilities,
        encoded_probabilities=goldens.encoded_probabilities,
    )


def read(version: Path) -> Goldens:
    """Read them back.

    Raises:
        FailedError: the version has none, or they are damaged.
    """
    try:
        # Opened here, because np.load leaves a damaged file open.
        with (version / ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kept: dict[str, Any] = {name: arrays[name] for name in arrays.files}
        files = tuple(path.read_bytes() for path in sorted((version / FOLDER).iterdir()))
        return Goldens(files=files, **kept)
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise FailedError(
            f"{version}: no golden images in it ({error}); export it again"
        ) from error


def _encode(picture: npt.NDArray[np.uint8], image_format: str) -> GoldenFile:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, image_format, quality=_JPEG_QUALITY)
    return GoldenFile(".jpg" if image_format == "JPEG" else ".png", buffer.getvalue())


def _grid(height: int, width: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rows, columns = np.mgrid[0:height, 0:width]
    return rows / height, columns / width


def _gradient(height: int, width: int) -> npt.NDArray[np.uint8]:
    y, x = _grid(height, width)
    return (np.stack([y, x, 1 - x * y], axis=-1) * 255).astype(np.uint8)


def _waves(height: int, width: int) -> npt.NDArray[np.uint8]:
    y, x = _grid(height, width)
    waves = [np.sin(12 * x + 7 * y), np.cos(23 * x * y), np.sin(40 * y) * np.cos(9 * x)]
    return ((np.stack(waves, axis=-1) + 1) * 127.5).astype(np.uint8)


def _blobs(random: np.random.Generator, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Soft coloured discs: closer to a photograph than noise or stripes are."""
    y, x = _grid(height, width)
    canvas = np.full((height, width, 3), 90.0)
    for _ in range(12):
        centre_y, centre_x = random.random(2)
        radius = 0.05 + 0.2 * random.random()
        distance = np.hypot(y - centre_y, x - centre_x) / radius
        mask = 1 / (1 + np.exp(np.clip(20 * (distance - 1), -50, 50)))
        colour = random.integers(0, 256, 3)
        canvas = canvas * (1 - mask[..., np.newaxis]) + colour * mask[..., np.newaxis]
    return canvas.astype(np.uint8)


def _checkers(rows: int, columns: int) -> npt.NDArray[np.uint8]:
    board = np.indices((rows, columns)).sum(axis=0) % 2
    colours = np.array([[20, 30, 160], [250, 220, 40]], dtype=np.uint8)
    squares: npt.NDArray[np.uint8] = colours[board]
    return squares
