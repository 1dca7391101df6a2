"""Top-1 on a folder of classes, for `compare`'s last column; nothing more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from contract.pixels import ImageError, ImageSpec, decode
from exporter.errors import UsageError
from exporter.measure.race import Answer

_BATCH_SIZE: Final = 8


def top_1(answer: Answer, folder: Path, image: ImageSpec, labels: Sequence[str] | None) -> float:
    """The share of images whose first class is their folder's.

    Args:
        answer: uint8 [N,H,W,3] to float32 [N,C].
        folder: one folder per class; named as its label, or, if none is and there is one for each
            class, in the order of the classes.
        image: how files become pixels.
        labels: in order of class index; None: nobody says.

    Raises:
        UsageError: no images, or the folders are not the model's classes.
    """
    files = list(_files(folder, labels))
    if not files:
        raise UsageError(f"--images {folder}: there is no image in its folders")
    hits = 0
    for start in range(0, len(files), _BATCH_SIZE):
        batch = files[start : start + _BATCH_SIZE]
        pixels = np.stack([_pixels(path, image) for path, _ in batch])
        hits += int((answer(pixels).argmax(axis=1) == [index for _, index in batch]).sum())
    return hits / len(files)


def _files(folder: Path, labels: Sequence[str] | None) -> Iterator[tuple[Path, int]]:
    """Files with their class index."""
    if not folder.is_dir():
        raise UsageError(f"--images {folder}: there is no such folder")
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    known = {label: index for index, label in enumerate(labels or [])}
    strangers = [path.name for path in classes if path.name not in known]
    in_order = labels is None or len(strangers) == len(classes) == len(labels)
    if strangers and not in_order:
        raise UsageError(f"--images {folder}: the model has no class {strangers[0]!r}")
    for order, path in enumerate(classes):
        index = order if in_order else known[path.name]
        yield from ((file, index) for file in sorted(path.iterdir()) if file.is_file())


def _pixels(path: Path, image: ImageSpec) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    try:
        return decode(path.read_bytes(), image)
    except ImageError as error:
        raise UsageError(f"--images: {path}: {error}") from error
