"""How an image file becomes a model's pixels, for whoever has the file: see `contract.decoding`."""

from __future__ import annotations

from contract.decoding import (
    DEFAULT_FORMATS,
    CorruptImageError,
    DecodedImage,
    ImageError,
    ImageTooLargeError,
    Limits,
    UnsupportedImageFormatError,
    decode,
    decode_image,
)
from contract.image_spec import Filter, Fit, ImageSpec

__all__ = [
    "DEFAULT_FORMATS",
    "CorruptImageError",
    "DecodedImage",
    "Filter",
    "Fit",
    "ImageError",
    "ImageSpec",
    "ImageTooLargeError",
    "Limits",
    "UnsupportedImageFormatError",
    "decode",
    "decode_image",
]
