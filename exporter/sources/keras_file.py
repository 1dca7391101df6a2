"""A Keras model as a source: from a whole-model file, or in memory already."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from contract.card import Source
from exporter.errors import UsageError
from exporter.options import Preprocess
from exporter.sources import preprocess, untrusted
from exporter.sources.keras_errors import loading_error
from exporter.sources.labels import ClassName
from exporter.sources.memory_limit import bounded_memory
from exporter.sources.network import Network, require_image_input
from exporter.sources.source_files import require_keras_file

_PREDICT_BATCH_SIZE: Final = 8


def load_keras(path: Path, *, max_bytes: int = untrusted.DEFAULT_MAX_BYTES) -> Network:
    """Load a whole Keras model from a .keras or .h5 file.

    Args:
        path: the file.
        max_bytes: how much reading it may take.

    Raises:
        UsageError: the file is missing, of another format, or holds weights only.
        RefusedError: it claims more than it holds, or than the limit.
        FailedError: Keras cannot load it.
    """
    require_keras_file(path)
    weight_bytes = untrusted.require_harmless(path, max_bytes)
    try:
        with bounded_memory(weight_bytes):
            model = keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise loading_error(f"--keras {path}", error) from error
    source = Source(
        kind="keras", name=path.name, weights=path.name, weights_sha256=weights_digest(model)
    )
    return from_keras(model, source)


def from_keras(
    model: Any,
    source: Source,
    *,
    preprocess_input: preprocess.PreprocessInput | None = None,
    mode: Preprocess | None = None,
    classes: tuple[ClassName, ...] | None = None,
    is_randomly_weighted: bool = False,
) -> Network:
    """Take a Keras model that is in memory already.

    Raises:
        UsageError: it is no image classifier.
    """
    images, scores = _single_tensors(model, source.name)
    require_image_input(tuple(images.shape), source.name)
    if len(scores.shape) != 2:  # noqa: PLR2004 - [N,C]
        raise UsageError(
            f"{source.name}: its output is {tuple(scores.shape)}, not one row of scores per image"
        )
    return Network(
        source=source,
        height=images.shape[1],
        width=images.shape[2],
        class_count=scores.shape[1],
        dtype=tf.as_dtype(images.dtype),
        call=lambda x: model(x, training=False),
        predict=lambda x: np.asarray(
            model.predict(x, batch_size=_PREDICT_BATCH_SIZE, verbose=0), dtype=np.float32
        ),
        preprocess_input=preprocess_input,
        preprocess=mode,
        final_activation=_final_activation(model),
        classes=classes,
        precision=str(model.dtype_policy.compute_dtype),
        is_randomly_weighted=is_randomly_weighted,
        has_rescaling=any(_is_rescaling(layer) for layer in model.layers),
    )


def _single_tensors(model: Any, name: str) -> tuple[Any, Any]:
    try:
        inputs, outputs = model.inputs, model.outputs
    except AttributeError:
        inputs = outputs = None
    if not inputs or not outputs:
        raise UsageError(f"{name}: the model was never built; call it once before saving it")
    if len(inputs) != 1 or len(outputs) != 1:
        raise UsageError(
            f"{name}: it has {len(inputs)} inputs and {len(outputs)} outputs; "
            "a classifier has one of each"
        )
    return inputs[0], outputs[0]


def _final_activation(model: Any) -> str | None:
    layer = model
    while isinstance(layer, keras.Model) and layer.layers:
        layer = layer.layers[-1]
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", None)


def _is_rescaling(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)


def weights_digest(model: Any) -> str:
    """SHA-256 over shapes, types and bytes of all weights in order; names do not count."""
    digest = hashlib.sha256()
    for weight in model.weights:  # one at a time: together they are a second copy of all
        array = np.asarray(weight)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
