"""How an image file becomes a model's pixels, for whoever has the file: see `contract.decoding`."""

from __future__ import annotations

from contract.decoding import DecodedImage, decode, decode_image
from contract.image_errors import (
    CorruptImageError,
    ImageError,
    ImageTooLargeError,
    UnsupportedImageFormatError,
)
from contract.image_spec import Filter, Fit, ImageSpec
from contract.opening import DEFAULT_FORMATS, Limits

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
