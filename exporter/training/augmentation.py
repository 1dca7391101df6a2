"""Photographs as they might have been taken otherwise: a little turned, nearer, darker.

Nothing is mirrored unless somebody says so: writing, digits, signs and most things with a left and
a right are others in a mirror. Each picture is resampled once, whatever happens to it, as two
resamplings blur twice. The random numbers are NumPy's, so that a seed says everything.
"""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

_TURN_RADIANS: Final = np.deg2rad(10.0)
_NEAREST: Final = 0.85
_FARTHEST: Final = 1.05
_STRETCH: Final = 0.06
_SHIFT: Final = 0.08
"""Of the side."""
_BRIGHTNESS: Final = 0.12 * 255
_CONTRAST: Final = 0.2

Floats = npt.NDArray[np.float32]


def augment(images: Any, random: np.random.Generator, *, mirror: bool) -> Floats:
    """Change every picture in its own way.

    Args:
        images: [N,H,W,3], 0..255.
        random: where the ways come from.
        mirror: whether half of them are mirrored left to right.

    Returns:
        float32 [N,H,W,3], 0..255.
    """
    pixels = np.asarray(images, dtype=np.float32)
    count, height, width, _ = pixels.shape
    ways = _transforms(count, height, width, random, mirror=mirror)
    moved = keras.ops.image.affine_transform(
        pixels, ways, interpolation="bilinear", fill_mode="nearest", data_format="channels_last"
    )
    each = (count, 1, 1, 1)
    contrast = random.uniform(1 - _CONTRAST, 1 + _CONTRAST, each).astype(np.float32)
    brightness = random.uniform(-_BRIGHTNESS, _BRIGHTNESS, each).astype(np.float32)
    moved = np.asarray(moved)
    middle = moved.mean(axis=(1, 2, 3), keepdims=True)
    changed: Floats = np.clip((moved - middle) * contrast + middle + brightness, 0.0, 255.0)
    return changed


def _transforms(
    count: int, height: int, width: int, random: np.random.Generator, *, mirror: bool
) -> Floats:
    """[N,8]: where each pixel of the result lies in the picture, about the middle."""
    angle = random.uniform(-_TURN_RADIANS, _TURN_RADIANS, count)
    zoom = random.uniform(_NEAREST, _FARTHEST, count)
    stretch = random.uniform(1 - _STRETCH, 1 + _STRETCH, count)
    sideways = random.uniform(-_SHIFT, _SHIFT, count) * width
    down = random.uniform(-_SHIFT, _SHIFT, count) * height
    across = zoom * stretch * (random.choice([-1.0, 1.0], count) if mirror else 1.0)
    along = zoom / stretch
    cosine, sine = np.cos(angle), np.sin(angle)
    a0, a1, b0, b1 = cosine * across, -sine * along, sine * across, cosine * along
    x, y = (width - 1) / 2, (height - 1) / 2
    a2 = x + sideways - a0 * x - a1 * y
    b2 = y + down - b0 * x - b1 * y
    none = np.zeros(count)
    return np.stack([a0, a1, a2, b0, b1, b2, none, none], axis=1).astype(np.float32)
