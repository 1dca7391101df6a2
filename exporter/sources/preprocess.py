"""What happens to uint8 pixels before the network: in the graph, and on the reference side.

The two sides are written apart on purpose. The graph's is ours; the reference side calls Keras for
what has a name and NumPy for figures, so that the parity check would notice a slip in either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from exporter.errors import UsageError
from exporter.preprocessing import NAMED, NONE, RESCALE, Preprocess

PreprocessInput = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

_PROBE: Final = np.array(
    [[[[0, 0, 0], [255, 255, 255], [255, 128, 7], [31, 64, 200]]]], dtype=np.float32
)


def named_modes() -> tuple[Preprocess, ...]:
    """Every mode that has a name; `str` gives it."""
    return tuple(NAMED.values())


def require_fitting(mode: Preprocess, channels: int) -> None:
    """Refuse figures per channel for a network that takes grey pictures.

    Raises:
        UsageError: the mode tells channels apart that are not there.
    """
    if channels == 1 and mode.is_per_channel:
        raise UsageError(
            f"--preprocess {mode} tells red, green and blue apart, but the network takes grey "
            "pictures; write one figure, such as mean=127.5,scale=127.5"
        )


def in_graph(mode: Preprocess, images: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Pixels to what the network expects.

    Args:
        mode: how.
        images: uint8 [N,H,W,3], RGB, or [N,H,W,1].
        dtype: what the network takes; only `none` leaves pixels that fit uint8.

    Returns:
        dtype, of the same shape.
    """
    if mode == NONE:
        return tf.cast(images, dtype)
    pixels = tf.cast(images, tf.float32)
    if mode.order == "bgr":
        pixels = tf.reverse(pixels, axis=[-1])
    channels = images.shape[-1]
    if any(mode.mean):
        pixels -= tf.constant(mode.mean[:channels])
    if set(mode.scale) != {1.0}:
        pixels /= tf.constant(mode.scale[:channels])
    return tf.cast(pixels, dtype)


def reference(mode: Preprocess) -> PreprocessInput:
    """The other side's function for a mode: float32 [N,H,W,C] of 0..255 in, the same shape out."""
    if mode == NONE:
        return lambda pixels: pixels
    if mode == RESCALE:
        layer = keras.layers.Rescaling(1.0 / 255)
        return lambda pixels: keras.ops.convert_to_numpy(layer(pixels))
    if mode in NAMED.values():
        preprocess_input: Any = keras.applications.imagenet_utils.preprocess_input
        return lambda pixels: preprocess_input(pixels.copy(), mode=str(mode))
    return lambda pixels: _in_figures(mode, pixels)


def identify(preprocess_input: PreprocessInput) -> Preprocess | None:
    """Find the mode of an unknown function by what it does to a few pixels."""
    expected = np.asarray(preprocess_input(_PROBE.copy()))
    for mode in named_modes():
        if np.allclose(reference(mode)(_PROBE.copy()), expected, atol=1e-4):
            return mode
    return None


def _in_figures(mode: Preprocess, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    channels = [2, 1, 0] if mode.order == "bgr" else list(range(pixels.shape[-1]))
    planes = [
        (pixels[..., channel].astype(np.float64) - mode.mean[place]) / mode.scale[place]
        for place, channel in enumerate(channels)
    ]
    return np.stack(planes, axis=-1).astype(np.float32)
