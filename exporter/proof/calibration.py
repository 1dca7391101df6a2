"""Real images for the ranges of an int8 model: drawn ones would give it ranges nobody meets."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.pixels import ImageError, ImageSpec, decode
from exporter.errors import UsageError
from exporter.options import TfLite

MAX_IMAGES: Final = 200
_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}


def find(
    kind: TfLite | None, calibration_dir: Path | None, golden_dir: Path | None = None
) -> list[Path]:
    """The files to calibrate with, evenly from a folder's tree, so that every class is among them.

    Args:
        kind: of the TensorFlow Lite model; all but int8 need no files.
        calibration_dir: their folder.
        golden_dir: taken instead where there is no other.

    Raises:
        UsageError: int8 without a folder, or no image in it; another kind with a folder.
    """
    if kind != "int8":
        if calibration_dir is not None:
            raise UsageError("--calibration-dir goes with --tflite int8")
        return []
    folder = calibration_dir or golden_dir
    if folder is None:
        raise UsageError(
            "--tflite int8 takes the ranges of its values from real images: say "
            "--calibration-dir DIR with some hundred of those that it will see"
        )
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise UsageError(f"--calibration-dir {folder}: there is no image in it")
    count = min(len(found), MAX_IMAGES)
    return [found[(2 * index + 1) * len(found) // (2 * count)] for index in range(count)]


def read(files: list[Path], spec: ImageSpec) -> npt.NDArray[np.uint8] | None:
    """Decode as the gateway does: uint8 [M,H,W,3]; None without files.

    Raises:
        UsageError: one of them is no image.
    """
    images = [_read(path, spec) for path in files]
    return np.stack(images) if images else None


def _read(path: Path, spec: ImageSpec) -> npt.NDArray[np.uint8]:
    try:
        return decode(path.read_bytes(), spec)
    except ImageError as error:
        raise UsageError(f"--calibration-dir: {path}: {error}") from error
