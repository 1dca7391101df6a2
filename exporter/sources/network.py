"""Where a model comes from. Every kind ends as a `Network`; nothing later asks which it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from contract.card import Evaluation, Source
from exporter.errors import UsageError
from exporter.options import GoldenFile, Preprocess
from exporter.sources import preprocess
from exporter.sources.labels import ClassName


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A loaded source: from preprocessed images to scores, in a graph and asked its own way."""

    source: Source
    height: int | None
    """None where the network takes any size; so is `width`."""
    width: int | None
    class_count: int | None
    dtype: tf.DType
    """Of the images it takes, after preprocessing."""
    call: Callable[[tf.Tensor], tf.Tensor]
    """dtype [N,H,W,3] to scores [N,C], for tracing."""
    predict: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
    """The same as the source itself computes it, outside our graph; float32 [N,H,W,3] in."""
    preprocess_input: preprocess.PreprocessInput | None = None
    """The source's own function, where it comes with one."""
    preprocess: Preprocess | None = None
    """None where the source does not say."""
    final_activation: str | None = None
    """softmax, sigmoid, linear …; None where the source does not say."""
    classes: tuple[ClassName, ...] | None = None
    precision: str = "float32"
    is_randomly_weighted: bool = False
    has_rescaling: bool = False
    """A layer inside rescales pixels, so that 0..255 are most likely right."""
    tracked: Any = None
    """What a SavedModel must hold on to, besides variables, when these are kept: lookup tables."""
    evaluation: Evaluation | None = None
    """How good the source was found to be by whoever made it."""
    golden_files: tuple[GoldenFile, ...] = ()
    """Golden images of the source's own, on top of the drawn ones."""


def require_image_input(shape: tuple[int | None, ...], name: str) -> None:
    """Refuse anything but [N,H,W,3].

    Raises:
        UsageError: the input is no batch of RGB images, channels last.
    """
    match shape:
        case (_, _, _, 3):
            return
        case (_, _, _, 1):
            hint = "grey images; put a layer before it that turns RGB into grey"
        case (_, 3, _, _):
            hint = "channels first; TensorFlow on CPU wants channels last"
        case _:
            hint = "no batch of RGB images"
    raise UsageError(f"{name}: its input is {shape}, which is {hint} ([N,H,W,3] is needed)")
