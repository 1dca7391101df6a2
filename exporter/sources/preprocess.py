"""What happens to uint8 pixels before the network: in the graph, and by Keras' own code.

The two sides are written apart on purpose. The graph's is ours; the reference side calls Keras, so
that the parity check would notice a slip in either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast, get_args

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from exporter.options import Preprocess

PreprocessInput = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

# ImageNet's statistics as keras.applications uses them: RGB of 0..1, and BGR of 0..255.
_TORCH_MEAN: Final = (0.485, 0.456, 0.406)
_TORCH_DEVIATION: Final = (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR: Final = (103.939, 116.779, 123.68)

_PROBE: Final = np.array(
    [[[[0, 0, 0], [255, 255, 255], [255, 128, 7], [31, 64, 200]]]], dtype=np.float32
)


def in_graph(mode: Preprocess, images: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Pixels to what the network expects.

    Args:
        mode: how.
        images: uint8 [N,H,W,3], RGB.
        dtype: what the network takes; only `none` leaves pixels that fit uint8.

    Returns:
        dtype [N,H,W,3].
    """
    if mode == "none":
        return tf.cast(images, dtype)
    pixels = tf.cast(images, tf.float32)
    if mode == "tf":
        pixels = pixels / 127.5 - 1.0
    elif mode == "torch":
        pixels = (pixels / 255.0 - tf.constant(_TORCH_MEAN)) / tf.constant(_TORCH_DEVIATION)
    elif mode == "caffe":
        pixels = tf.reverse(pixels, axis=[-1]) - tf.constant(_CAFFE_MEAN_BGR)
    else:
        pixels = pixels / 255.0
    return tf.cast(pixels, dtype)


def reference(mode: Preprocess) -> PreprocessInput:
    """Keras' own function for a mode: float32 [N,H,W,3] of 0..255 in, the same shape out."""
    if mode == "none":
        return lambda pixels: pixels
    if mode == "rescale":
        layer = keras.layers.Rescaling(1.0 / 255)
        return lambda pixels: keras.ops.convert_to_numpy(layer(pixels))
    preprocess_input: Any = keras.applications.imagenet_utils.preprocess_input
    return lambda pixels: preprocess_input(pixels.copy(), mode=mode)


def identify(preprocess_input: PreprocessInput) -> Preprocess | None:
    """Find the mode of an unknown function by what it does to a few pixels."""
    expected = np.asarray(preprocess_input(_PROBE.copy()))
    for mode in cast("tuple[Preprocess, ...]", get_args(Preprocess)):
        if np.allclose(reference(mode)(_PROBE.copy()), expected, atol=1e-4):
            return mode
    return None


def named_predictors(predict: PreprocessInput) -> dict[str, PreprocessInput]:
    """A network's own prediction of uint8 pixels [N,H,W,3] behind each mode that has a name.

    Args:
        predict: float32 [N,H,W,3], prepared, to scores [N,C].
    """
    return {mode: _behind(reference(mode), predict) for mode in get_args(Preprocess)}


def _behind(prepare: PreprocessInput, predict: PreprocessInput) -> PreprocessInput:
    return lambda pixels: predict(prepare(pixels.astype(np.float32)))
