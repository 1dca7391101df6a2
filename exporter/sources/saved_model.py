"""A TensorFlow SavedModel, ours or anybody's, as a source."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from contract.card import Source
from contract.signatures import SERVING_DEFAULT
from exporter.batches import ask_in_batches, images_at_once
from exporter.errors import FailedError, RefusedError, UsageError, first_line
from exporter.side_effects.saved_model import require_harmless_saved_model
from exporter.sources import precision
from exporter.sources.memory_limit import bounded_memory, is_out_of_memory
from exporter.sources.network import Network, require_image_input
from exporter.sources.source_files import require_saved_model
from exporter.sources.tensor_names import TensorNames, choose

_IMAGE_DTYPES: Final = (tf.uint8, tf.float16, tf.bfloat16, tf.float32, tf.float64)
_PREDICT_BATCH_SIZE: Final = 8
_CHUNK_BYTES: Final = 1 << 20


def load_saved_model(path: Path, names: TensorNames, allowed_ops: Collection[str] = ()) -> Network:
    """Load a SavedModel whose signature takes images and gives scores.

    Raises:
        UsageError: no SavedModel, or not clear which signature, input or output is meant.
        RefusedError: its variables did not come along, or it would do more than compute.
        FailedError: TensorFlow cannot load it.
    """
    require_saved_model(path)
    require_harmless_saved_model(path, names.signature, allowed_ops)
    loaded = _load(path)
    signature = choose("signature", names.signature, loaded.signatures, SERVING_DEFAULT)
    function = loaded.signatures[signature]
    inputs: dict[str, tf.TensorSpec] = function.structured_input_signature[1]
    outputs: dict[str, tf.TensorSpec] = function.structured_outputs
    defaults = _defaults(path, signature) if len(inputs) > 1 else {}
    needed = [name for name in inputs if name not in defaults]
    wanted = names.input or (needed[0] if len(needed) == 1 else None)
    input_name = choose("input", wanted, inputs)
    output_name = choose("output", names.output, outputs)
    images, scores = inputs[input_name], outputs[output_name]
    others = {name: value for name, value in defaults.items() if name != input_name}
    missing = [name for name in needed if name != input_name]
    if missing:
        raise UsageError(
            f"signature {signature}: besides {input_name} it needs {', '.join(missing)}, and a "
            "picture is all that a request brings; save it with defaults for the rest"
        )
    shape = _known_shape(images, f"input {input_name}")
    channels = require_image_input(shape, f"signature {signature}, input {input_name}")
    if shape[0] is not None:
        raise UsageError(f"input {input_name}: takes batches of {shape[0]} only; save it with None")
    if images.dtype not in _IMAGE_DTYPES:
        raise UsageError(f"input {input_name}: {images.dtype.name} is not a type for pixels")

    def call(x: tf.Tensor) -> tf.Tensor:
        return function(**{input_name: x}, **others)[output_name]

    return Network(
        source=Source(
            kind="saved_model",
            name=path.resolve().name,
            weights=None,
            weights_sha256=_folder_digest(path),
        ),
        height=shape[1],
        width=shape[2],
        channels=channels,
        class_count=_class_count(scores, output_name),
        dtype=images.dtype,
        call=call,
        predict=lambda x: _predict(call, x, images.dtype),
        precision=precision.of_function(function),
        tracked=loaded,
    )


def _load(path: Path) -> Any:
    files = (file for file in path.rglob("*") if file.is_file())
    try:
        with bounded_memory(sum(file.stat().st_size for file in files)):
            return tf.saved_model.load(str(path))
    except Exception as error:
        if is_out_of_memory(error):
            raise RefusedError(
                f"--saved-model {path}: loading it takes far more memory than its files explain"
            ) from error
        if (path / "variables" / "variables.index").is_file() and not _names_variables(error):
            reason = first_line(error)
            raise FailedError(f"--saved-model {path}: cannot be loaded: {reason}") from error
        raise RefusedError(
            f"{path}: its variables did not come along ({first_line(error)}); a model server "
            "would call it AVAILABLE and then fail; copy the whole folder with variables/"
        ) from error


def _names_variables(error: Exception) -> bool:
    return "variables.data" in str(error) or "Could not find variable" in str(error)


def _defaults(path: Path, signature: str) -> dict[str, tf.Tensor]:
    """Values of the inputs that a request may leave out; the loader does not keep them."""
    content = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    definitions = [
        graph.signature_def[signature]
        for graph in content.meta_graphs
        if signature in graph.signature_def
    ]
    return {
        name: tf.constant(tf.make_ndarray(value))
        for definition in definitions
        for name, value in definition.defaults.items()
    }


def _known_shape(spec: tf.TensorSpec, name: str) -> tuple[int | None, ...]:
    if spec.shape.rank is None:
        raise UsageError(f"{name}: its shape is unknown, so it cannot be told from other data")
    return tuple(spec.shape.as_list())


def _class_count(scores: tf.TensorSpec, name: str) -> int | None:
    if scores.shape.rank is None:
        return None
    if scores.shape.rank != 2:  # noqa: PLR2004 - [N,C]
        raise UsageError(f"output {name}: {scores.shape} is not one row of scores per image")
    count: int | None = scores.shape[1]
    return count


def _predict(
    call: Callable[[tf.Tensor], tf.Tensor], x: npt.NDArray[np.float32], dtype: tf.DType
) -> npt.NDArray[np.float32]:
    size = images_at_once(_PREDICT_BATCH_SIZE, *x.shape[1:3])
    return ask_in_batches(
        lambda batch: np.asarray(call(tf.cast(batch, dtype)), dtype=np.float32), x, size
    )


def _folder_digest(path: Path) -> str:
    """SHA-256 over the graph and the variables files, in order of name."""
    digest = hashlib.sha256()
    for file in [path / "saved_model.pb", *sorted((path / "variables").glob("variables.*"))]:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
