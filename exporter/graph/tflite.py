"""The scorer as a TensorFlow Lite model for phones: uint8 pixels in, probabilities out.

none      float32 weights        dynamic   int8 weights, float arithmetic
float16   float16 weights        int8      int8 weights and arithmetic, ranges from real images
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from exporter.errors import FailedError, first_line
from exporter.graph.quiet import quiet_native_stderr
from exporter.options import TfLite

_THREADS: Final = 2  # a phone's fast cores; more than there are only disturb each other


def convert(concrete: Any, kind: TfLite, calibration: npt.NDArray[np.uint8] | None = None) -> bytes:
    """Convert a concrete function of uint8 [N,H,W,3] to float32 [N,C].

    Args:
        concrete: frozen or with variables.
        kind: how it is quantised.
        calibration: uint8 [M,H,W,3]; with `int8`, images that the ranges of values come from.

    Raises:
        FailedError: the converter does not know an op, or gives up otherwise.
    """
    try:
        with _quiet():
            converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
            _quantise(converter, kind, calibration)
            content: bytes = converter.convert()
    except Exception as error:
        raise FailedError(
            f"TensorFlow Lite cannot convert this model: {first_line(error)}; leave --tflite out"
        ) from error
    return content


def _quantise(converter: Any, kind: TfLite, calibration: npt.NDArray[np.uint8] | None) -> None:
    if kind == "none":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif kind == "int8":
        if calibration is None:
            raise ValueError("int8 needs images to take the ranges of its values from")
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in calibration)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,  # casts and rescaling of pixels may stay in float
        ]


class TfLiteModel:
    """A converted model, run by TensorFlow Lite's own interpreter in this process."""

    def __init__(self, content: bytes) -> None:
        with _quiet():
            self._interpreter = tf.lite.Interpreter(model_content=content, num_threads=_THREADS)
        self._input: int = self._interpreter.get_input_details()[0]["index"]
        self._output: int = self._interpreter.get_output_details()[0]["index"]
        self._shape: tuple[int, ...] = ()

    def __call__(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 [N,H,W,3] to float32 [N,C]."""
        if images.shape != self._shape:
            with _quiet():  # XNNPACK introduces itself
                self._interpreter.resize_tensor_input(self._input, images.shape)
                self._interpreter.allocate_tensors()
            self._shape = images.shape
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output))


def answers(
    model: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    pixels: npt.NDArray[np.uint8],
) -> npt.NDArray[np.float32]:
    """One image at a time, as a phone does: uint8 [N,H,W,3] to float32 [N,C]."""
    return np.concatenate([model(image[np.newaxis]) for image in pixels])


@contextmanager
def _quiet() -> Iterator[None]:
    """Without C++ chatter, log lines and warnings that only TensorFlow's developers can act on.

    The interpreter warns that it moves to another package; TensorFlow 2.20, which we pin, has it.
    """
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), quiet_native_stderr():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
