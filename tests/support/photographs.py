"""Photographs that ship in scikit-image and scikit-learn, and what ImageNet's classes call them."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from PIL import Image

from exporter.options import GoldenFile

ACCEPTABLE: Final = {
    "chelsea": {281: "tabby", 282: "tiger cat", 285: "Egyptian cat"},
    "coffee": {967: "espresso", 968: "cup", 504: "coffee mug"},
    "rocket": {657: "missile", 744: "projectile"},
    "china": {698: "palace", 832: "stupa", 663: "monastery", 538: "dome"},
    "flower": {985: "daisy"},
}
"""By photograph, the indices that a person would accept."""


def photograph_files() -> tuple[GoldenFile, ...]:
    """PNG files in the order of `ACCEPTABLE`."""
    from skimage import data  # noqa: PLC0415 - not every test wants it
    from sklearn.datasets import load_sample_image  # noqa: PLC0415 - as above

    files = []
    for name in ACCEPTABLE:
        is_from_sklearn = name in {"china", "flower"}
        picture = load_sample_image(f"{name}.jpg") if is_from_sklearn else getattr(data, name)()
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        files.append(GoldenFile(".png", buffer.getvalue()))
    return tuple(files)
