"""The one way through a Keras model that classifies: an input of images, an output of scores.

Keras names an output after the key in a dictionary of outputs, else after the layer that makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from exporter.errors import UsageError
from exporter.sources.keras_errors import useful_line
from exporter.sources.tensor_names import TensorNames, choose


@dataclass(frozen=True, slots=True)
class Path:
    """A model of one input and one output, and both as symbolic tensors."""

    model: Any
    images: Any
    scores: Any


def find_path(model: Any, names: TensorNames, source: str) -> Path:
    """Cut a model down to the input and the output that are meant.

    Args:
        model: functional, sequential, or a subclass that was built for images.
        names: which input and output, where there are several.
        source: the model's name for messages.

    Raises:
        UsageError: it was never built, or it is not clear what is meant, or needs other inputs.
    """
    model = _as_graph(model, source)
    if isinstance(model, keras.Sequential):
        return Path(model, model.inputs[0], model.outputs[0])
    scores = _scores(model, names)
    inputs = dict(zip(_names(model.input, model.inputs), model.inputs, strict=True))
    if names.input:
        choose("input", names.input, inputs)
    if model.input is model.inputs[0] and model.output is scores:
        return Path(model, model.input, scores)
    wanted = [inputs[names.input]] if names.input else list(inputs.values())
    paths = [path for images in wanted if (path := _path(images, scores))]
    if len(paths) != 1:
        raise UsageError(
            f"{source}: its scores need the inputs {', '.join(inputs)}, and a picture is all that "
            "a request brings; save a model that computes the others or fixes them"
        )
    return paths[0]


def _path(images: Any, scores: Any) -> Path | None:
    """None where the scores need another input, too."""
    try:
        return Path(keras.Model(images, scores), images, scores)
    except ValueError:
        return None


def operation_of(tensor: Any) -> tuple[Any, int]:
    """The layer or operation that makes a symbolic tensor, and which of its outputs that is."""
    history = tensor._keras_history  # noqa: SLF001 - Keras has no public name for it
    return history.operation, history.tensor_index


def _as_graph(model: Any, source: str) -> Any:
    """A subclass has no tensors of its own: call it on what it was built for."""
    if getattr(model, "inputs", None) and getattr(model, "outputs", None):
        return model
    shape = _built_shape(model)
    if shape is None:
        raise UsageError(f"{source}: the model was never built; call it once before saving it")
    images = keras.Input(shape[1:])
    try:
        return keras.Model(images, model(images))
    except Exception as error:  # whatever the user's own code raises
        raise UsageError(
            f"{source}: it cannot be called on images of {shape[1:]}: {useful_line(error)}"
        ) from error


def _built_shape(model: Any) -> tuple[int | None, ...] | None:
    shape = (model.get_build_config() or {}).get("input_shape")
    is_shape = isinstance(shape, list | tuple) and all(
        side is None or isinstance(side, int) for side in shape
    )
    return tuple(shape) if is_shape and shape else None


def _scores(model: Any, names: TensorNames) -> Any:
    found = dict(zip(_names(model.output, model.outputs), model.outputs, strict=True))
    return found[choose("output", names.output, found)]


def _names(struct: Any, tensors: list[Any]) -> list[str]:
    if isinstance(struct, dict):
        return sorted(struct)  # the order in which Keras flattens it
    names = [operation_of(tensor)[0].name for tensor in tensors]
    if len(set(names)) < len(names):  # several outputs of one layer
        return [f"{name}_{index}" for index, name in enumerate(names)]
    return names
