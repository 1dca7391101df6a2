"""In which type a network computes: its answers can be compared only as finely as that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import tensorflow as tf

_FINEST: Final = "float32"
_COARSE: Final = ("bfloat16", "float16")  # the coarsest first

# These move numbers or change their type; weights kept in float16 are often cast before use.
_MOVING: Final = frozenset(
    {
        *("Cast", "Identity", "IdentityN", "EnsureShape", "Reshape", "Squeeze", "ExpandDims"),
        *("ConcatV2", "Pack", "Unpack", "Pad", "PadV2", "Fill", "Slice", "StridedSlice", "Split"),
        *("GatherV2", "Shape", "Transpose"),
    }
)


def of_keras(model: Any) -> str:
    """The coarsest type that any layer computes in, however deep it is nested."""
    layers = model._flatten_layers()  # noqa: SLF001 - the public `layers` ends at the first level
    return _coarsest(str(layer.compute_dtype) for layer in layers)


def of_function(function: Any) -> str:
    """The coarsest type that any op of a concrete function, or of one it calls, computes in."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    return _coarsest(_computing_types(nodes))


def _computing_types(nodes: Iterable[Any]) -> Iterator[str]:
    for node in nodes:
        if node.op not in _MOVING and node.attr["T"].type:
            yield tf.as_dtype(node.attr["T"].type).name


def _coarsest(types: Iterable[str]) -> str:
    found = set(types)
    return next((each for each in _COARSE if each in found), _FINEST)
