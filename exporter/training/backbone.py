"""A Keras application without its classifier: pixels 0..255 in, one row of features out.

What it does to pixels first is part of the network here, so that the trained model takes pixels as
they are wherever it goes: into an export, into a .keras file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from exporter.errors import FailedError
from exporter.preprocessing import NONE, Preprocess
from exporter.progress import Reporter
from exporter.settings import Settings
from exporter.sources import untrusted
from exporter.sources.application import construct, construct_pretrained, read_weights
from exporter.sources.keras_errors import loading_error
from exporter.sources.known_applications import Application, find_application
from exporter.sources.memory_limit import bounded_memory, is_out_of_memory
from exporter.sources.source_files import weights_file

_MOMENTUM = 0.9
"""As the compact network's: applications have up to 0.999, which takes thousands of batches."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """An application and what it does to pixels."""

    base: Any
    """[N,H,W,3] as `preprocess` leaves it, to features [N,D]."""
    preprocess: Preprocess

    def features(self, pixels: Any) -> Any:
        """Symbolic features of symbolic pixels; normalisation as in inference, always."""
        return self.base(_prepared(pixels, self.preprocess), training=False)

    def trainable_features(self, pixels: Any) -> Any:
        """The same for an application that is trained whole: normalised by its batches."""
        return self.base(_prepared(pixels, self.preprocess))


def load(
    name: str, weights: str, size: tuple[int, int], settings: Settings, report: Reporter
) -> Backbone:
    """Build an application without classifier.

    Args:
        name: as Keras spells it.
        weights: `imagenet`, `none` or a file, with or without the classifier of 1000 classes.
        size: height, width.
        settings: bounds of the download and of the file.
        report: told how far a download is.

    Raises:
        UsageError: it does not take this size.
        FailedError: the download failed, or the file does not fit.
        RefusedError: the file claims more than it holds.
    """
    application = find_application(name)
    options: dict[str, Any] = {
        "include_top": False,
        "pooling": "avg",
        "input_shape": (*size, 3),
    }
    file = weights_file(weights)
    if file:
        base = construct(application, weights=None, **options)
        _read_weights(base, application, file, settings.max_source_bytes)
    elif weights == "none":
        base = construct(application, weights=None, **options)
        _adapt_normalisation(base)
    else:
        base = construct_pretrained(application, settings, report, **options)
    return Backbone(base, application.preprocess)


def _read_weights(base: Any, application: Application, file: Path, max_bytes: int) -> None:
    weight_bytes = untrusted.require_harmless(file, max_bytes)
    with bounded_memory(weight_bytes):
        try:
            read_weights(base, file)
        except Exception as error:
            if is_out_of_memory(error):
                raise loading_error(f"--weights {file}", error) from error
            _read_with_classifier(base, application, file)


def _read_with_classifier(base: Any, application: Application, file: Path) -> None:
    """A file of the whole application: its own size, ImageNet's classes."""
    try:
        whole = construct(application, weights=None)
        read_weights(whole, file)
        # One constructor makes the same layers in the same order; numbers in names may differ.
        theirs = iter([layer for layer in whole.layers if layer.weights])
        for layer in base.layers:
            if layer.weights:
                layer.set_weights(next(theirs).get_weights())
    except Exception as error:
        if is_out_of_memory(error):
            raise loading_error(f"--weights {file}", error) from error
        raise FailedError(
            f"--weights {file}: these weights fit {application.name} neither without classifier "
            "nor with its 1000 classes; name the --application that they are of"
        ) from error


def _adapt_normalisation(base: Any) -> None:
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = _MOMENTUM


def _prepared(pixels: Any, mode: Preprocess) -> Any:
    if mode == NONE:
        return pixels
    if mode.order == "bgr":
        pixels = keras.ops.flip(pixels, axis=-1)
    scale = [1 / scale for scale in mode.scale]
    offset = [-mean / scale for mean, scale in zip(mode.mean, mode.scale, strict=True)]
    if not mode.is_per_channel:
        return keras.layers.Rescaling(scale[0], offset=offset[0])(pixels)
    return keras.layers.Rescaling(scale, offset=offset)(pixels)
