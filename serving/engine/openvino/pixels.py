"""Strings to pixels, as the graph of an exported version makes them."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
from PIL import Image

from contract import rendering
from contract.image_errors import ImageError
from contract.image_spec import ImageSpec
from contract.opening import Limits, open_image
from protocol.tensors import Array
from serving.core.errors import invalid_argument
from serving.engine import machine

_LIMITS: Final = Limits(formats=("JPEG", "PNG", "GIF", "BMP", "WEBP"))
_DECODING: Final = threading.BoundedSemaphore(machine.cores())
"""Files in work at a time: each may take 4 bytes for each of its 64 million pixels."""


def unpack(strings: Array, spec: ImageSpec) -> Array:
    """`top_k_raw`'s strings [N] of H*W*3 bytes to uint8 [N,H,W,3].

    Raises:
        ServingError: INVALID_ARGUMENT for strings of another length.
    """
    shape = (spec.height, spec.width, 3)
    size = spec.height * spec.width * 3
    sizes = [len(each) for each in strings.tolist()]
    if len(set(sizes)) > 1:
        number = next(index for index, found in enumerate(sizes) if found != sizes[0])
        raise invalid_argument(
            "DecodeRaw requires input strings to all be the same size, but element "
            f"{number} has size {sizes[0]} != {sizes[number]}"
        )
    if any(found != size for found in sizes):
        raise invalid_argument(
            f"Input to reshape is a tensor with {sum(sizes)} values, but the requested shape has "
            f"{size * len(sizes)}"
        )
    return np.frombuffer(b"".join(strings.tolist()), np.uint8).reshape(-1, *shape)


def decode(files: Array, spec: ImageSpec) -> Array:
    """`top_k_encoded`'s files [N] to uint8 [N,H,W,3].

    Raises:
        ServingError: INVALID_ARGUMENT for what is no image, or larger than 64 million pixels.
    """
    images = np.empty((len(files), spec.height, spec.width, 3), np.uint8)
    as_stored = spec.model_copy(update={"exif": False})
    for number, data in enumerate(files.tolist()):
        try:
            with _DECODING:
                images[number] = np.asarray(_decode(data, as_stored))
        except ImageError as error:
            raise invalid_argument(f"Unknown image file format or damaged file: {error}") from error
    return images


def _decode(data: bytes, spec: ImageSpec) -> Image.Image:
    """The stored frame without its alpha, as TensorFlow's decoders give it."""
    with open_image(data, _LIMITS) as image:
        full_size = image.size
        _, target = rendering.prepare(image, spec)
        try:
            return rendering.render(_opaque(image), full_size, target, spec)
        except Exception as error:  # Pillow's plugins raise whatever they run into
            raise ImageError(
                f"the image is truncated or damaged ({type(error).__name__})"
            ) from error


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    without = image.convert("RGBA").convert("RGB")
    without.info.pop("transparency", None)
    return without
