"""Real images for the ranges of an int8 model: drawn ones would give it ranges nobody meets."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.pixels import ImageError, ImageSpec, decode
from exporter.errors import UsageError
from exporter.options import ExportOptions, TfLite

MAX_IMAGES: Final = 200
INT8_IMAGES: Final = 300
"""That OpenVINO's ranges come from; NNCF's own number."""
MIN_INT8_IMAGES: Final = 50
"""Eight photographs gave ranges with which 83 % of the answers stayed the same."""
MIN_HELD_OUT: Final = 50
MAX_HELD_OUT: Final = 1000
_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}


def find(
    kind: TfLite | None,
    calibration_dir: Path | None,
    golden_dir: Path | None = None,
    *,
    is_quantised: bool = False,
) -> list[Path]:
    """The files to calibrate with, evenly from a folder's tree, so that every class is among them.

    Args:
        kind: of the TensorFlow Lite model; all but int8 need no files.
        calibration_dir: their folder.
        golden_dir: taken instead where there is no other.
        is_quantised: whether the folder is wanted for --precision int8, too.

    Raises:
        UsageError: int8 without a folder, or no image in it; another kind with a folder.
    """
    if kind != "int8":
        if calibration_dir is not None and not is_quantised:
            raise UsageError("--calibration-dir goes with --tflite int8 and --precision int8")
        return []
    folder = calibration_dir or golden_dir
    if folder is None:
        raise UsageError(
            "--tflite int8 takes the ranges of its values from real images: say "
            "--calibration-dir DIR with some hundred of those that it will see"
        )
    return _evenly(_images(folder), MAX_IMAGES)


def require(options: ExportOptions) -> None:
    """Look for the files of everything that is calibrated.

    Raises:
        UsageError: they are missing, too few, or not wanted.
    """
    is_quantised = options.precision == "int8"
    find(options.tflite, options.calibration_dir, options.golden_dir, is_quantised=is_quantised)
    for_int8(options, is_evaluated=options.accuracy is not None)


def for_int8(options: ExportOptions, *, is_evaluated: bool) -> tuple[list[Path], list[Path]]:
    """The files to quantise with, and others to hold the answers against; none without int8.

    Args:
        options: of the export.
        is_evaluated: whether labelled pictures do the latter.

    Raises:
        UsageError: there is no folder, or too few images in it.
    """
    if options.precision != "int8":
        return [], []
    folder = options.calibration_dir or options.golden_dir
    if folder is None:
        raise UsageError(
            "--precision int8 takes the ranges of its values from real images: say "
            "--calibration-dir DIR with some hundred of those that it will see"
        )
    found = _images(folder)
    needed = MIN_INT8_IMAGES + (0 if is_evaluated else MIN_HELD_OUT)
    if len(found) < needed:
        held_out = "" if is_evaluated else (
            f", {MIN_HELD_OUT} of them to hold its answers against (or --eval-dir)"
        )  # fmt: skip
        raise UsageError(
            f"--precision int8: {len(found)} images in {folder}, at least {needed} are needed"
            f"{held_out}"
        )
    if is_evaluated:
        return _evenly(found, INT8_IMAGES), []
    chosen = _evenly(found, min(INT8_IMAGES, len(found) - MIN_HELD_OUT))
    return chosen, _evenly(sorted(set(found) - set(chosen)), MAX_HELD_OUT)


def _images(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise UsageError(f"--calibration-dir {folder}: there is no image in it")
    return found


def _evenly(found: list[Path], most: int) -> list[Path]:
    count = min(len(found), most)
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
