"""A Keras model as a source: from a whole-model file, or in memory already."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from contract.card import Source
from exporter.batches import images_at_once
from exporter.errors import UsageError
from exporter.preprocessing import Preprocess
from exporter.sources import custom_objects, precision, preprocess, rescaling, untrusted
from exporter.sources.keras_errors import loading_error
from exporter.sources.keras_tensors import find_path, operation_of
from exporter.sources.labels import ClassName
from exporter.sources.memory_limit import bounded_memory
from exporter.sources.network import Network, require_image_input
from exporter.sources.source_files import require_keras_file
from exporter.sources.tensor_names import TensorNames

_PREDICT_BATCH_SIZE: Final = 8


def load_keras(
    path: Path,
    names: TensorNames | None = None,
    custom_file: Path | None = None,
    *,
    max_bytes: int = untrusted.DEFAULT_MAX_BYTES,
) -> Network:
    """Load a whole Keras model from a .keras or .h5 file.

    Args:
        path: the file.
        names: which input and output, where there are several.
        custom_file: Python code with the classes and functions that the model is made of; it runs.
        max_bytes: how much reading it may take.

    Raises:
        UsageError: the file is missing, of another format, or holds weights only.
        RefusedError: it claims more than it holds, or than the limit.
        FailedError: Keras cannot load it.
    """
    require_keras_file(path)
    weight_bytes = untrusted.require_harmless(path, max_bytes)
    objects = custom_objects.load(custom_file) if custom_file else None
    try:
        with bounded_memory(weight_bytes):
            model = keras.saving.load_model(path, custom_objects=objects, compile=False)
    except Exception as error:
        raise loading_error(f"--keras {path}", error, custom_file) from error
    source = Source(
        kind="keras", name=path.name, weights=path.name, weights_sha256=weights_digest(model)
    )
    return from_keras(model, source, names=names)


def from_keras(
    model: Any,
    source: Source,
    *,
    names: TensorNames | None = None,
    preprocess_input: preprocess.PreprocessInput | None = None,
    mode: Preprocess | None = None,
    classes: tuple[ClassName, ...] | None = None,
    is_randomly_weighted: bool = False,
) -> Network:
    """Take a Keras model that is in memory already.

    Raises:
        UsageError: it is no image classifier.
    """
    path = find_path(model, names or TensorNames(), source.name)
    model, images, scores = path.model, path.images, path.scores
    channels = require_image_input(tuple(images.shape), source.name)
    if len(scores.shape) != 2:  # noqa: PLR2004 - [N,C]
        raise UsageError(
            f"{source.name}: its output is {tuple(scores.shape)}, not one row of scores per image"
        )
    return Network(
        source=source,
        height=images.shape[1],
        width=images.shape[2],
        channels=channels,
        class_count=scores.shape[1],
        dtype=tf.as_dtype(images.dtype),
        call=lambda x: model(x, training=False),
        predict=lambda x: np.asarray(
            model.predict(
                x, batch_size=images_at_once(_PREDICT_BATCH_SIZE, *x.shape[1:3]), verbose=0
            ),
            dtype=np.float32,
        ),
        preprocess_input=preprocess_input,
        preprocess=mode,
        final_activation=_final_activation(scores),
        classes=classes,
        precision=precision.of_keras(model),
        is_randomly_weighted=is_randomly_weighted,
        rescaling=rescaling.describe(model),
        keras_model=model,
    )


def _final_activation(scores: Any) -> str | None:
    operation, index = operation_of(scores)
    if isinstance(operation, keras.Model):
        inner = getattr(operation, "outputs", None)
        return _final_activation(inner[index]) if inner else None
    if type(operation).__name__ in {"Softmax", "Sigmoid"}:  # a layer, or an op of keras.ops
        return type(operation).__name__.lower()
    activation = getattr(operation, "activation", None)
    return getattr(activation, "__name__", None)


def weights_digest(model: Any) -> str:
    """SHA-256 over shapes, types and bytes of all weights in order; names do not count."""
    digest = hashlib.sha256()
    for weight in model.weights:  # one at a time: together they are a second copy of all
        array = np.asarray(weight)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
