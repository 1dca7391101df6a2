"""Where a model comes from. Every kind ends as a `Network`; nothing later asks which it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from contract.card import Source
from exporter.errors import UsageError
from exporter.options import GoldenFile
from exporter.preprocessing import Preprocess
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
    channels: int = 3
    """1 where the network takes grey pictures."""
    dtype: tf.DType
    """Of the images it takes, after preprocessing."""
    call: Callable[[tf.Tensor], tf.Tensor]
    """dtype [N,H,W,channels] to scores [N,C], for tracing."""
    predict: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
    """The same as the source itself computes it, outside our graph; float32 in."""
    preprocess_input: preprocess.PreprocessInput | None = None
    """The source's own function, where it comes with one."""
    preprocess: Preprocess | None = None
    """None where the source does not say."""
    final_activation: str | None = None
    """softmax, sigmoid, linear …; None where the source does not say."""
    classes: tuple[ClassName, ...] | None = None
    evaluated: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ImageSpec with which its published accuracy was measured; empty: not known."""
    precision: str = "float32"
    """The coarsest type that it computes in."""
    is_randomly_weighted: bool = False
    rescaling: str | None = None
    """What its first layers do to pixels, such as `layer rescaling: x/255`; None: none found."""
    tracked: Any = None
    """What a SavedModel must hold on to, besides variables, when these are kept: lookup tables."""
    keras_model: Any = None
    """Where the source is one: the model whose `predict` users know."""
    golden_files: tuple[GoldenFile, ...] = ()
    """Golden images of the source's own, on top of the drawn ones."""


def require_image_input(shape: tuple[int | None, ...], name: str) -> int:
    """Refuse anything but [N,H,W,3] and [N,H,W,1].

    Returns:
        The number of channels: 3, or 1 for grey pictures.

    Raises:
        UsageError: the input is no batch of images, channels last.
    """
    match shape:
        case (_, _, _, (1 | 3) as channels):
            return channels
        case (_, 1 | 3, _, _):
            hint = "channels first; TensorFlow on CPU wants channels last"
        case _:
            hint = "no batch of RGB or grey images"
    raise UsageError(
        f"{name}: its input is {shape}, which is {hint} ([N,H,W,3] or [N,H,W,1] is needed)"
    )
