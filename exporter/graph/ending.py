"""How a network ends, read from its graph: which activations, and one behind another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf

from contract.image_spec import ImageSpec
from exporter.errors import RefusedError, first_line
from exporter.graph.reading import origin, output_of
from exporter.sources.network import Network

_ACTIVATIONS: Final = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_LINEAR: Final = frozenset({"BiasAdd", "MatMul", "BatchMatMulV2", "Conv2D", "Einsum"})


@dataclass(frozen=True, slots=True)
class Ending:
    """The activations at the end of a network, the last one first."""

    activations: tuple[str, ...]
    is_linear: bool
    """Scores come straight out of a dense or convolutional layer: logits, whatever their range."""


def trace_network(network: Network, image: ImageSpec) -> Any:
    """The network alone as a concrete function, traced and not run: to be looked at.

    Raises:
        RefusedError: it cannot be traced.
    """
    spec = tf.TensorSpec(
        [None, image.height, image.width, network.channels], network.dtype, "images"
    )
    function = tf.function(network.call, input_signature=[spec], autograph=False)
    try:
        return function.get_concrete_function()
    except Exception as error:
        raise RefusedError(
            f"{network.source.name} cannot become a graph: {first_line(error)}"
        ) from error


def read_ending(concrete: Any) -> Ending:
    """Walk back from the scores until something is no activation."""
    activations: list[str] = []
    place = origin(output_of(concrete))
    while place.op.type in _ACTIVATIONS:
        activations.append(_ACTIVATIONS[place.op.type])
        place = origin(place.input(0))
    return Ending(tuple(activations), not activations and place.op.type in _LINEAR)
