"""Which inputs must have as many dimensions as their signature says: those of most graphs.

TensorFlow Serving feeds whatever it is sent and leaves the check to the kernels. Most answer with
an error. Some end the process: a convolution of oneDNN does, on fewer dimensions than it takes. So
a request of another rank is refused before it runs, unless every operation behind the answer is
known to bear any rank: then it runs, and the graph answers as it does in TensorFlow Serving.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from protocol.models import SignatureSpec
from protocol.tensors import Array
from serving.core.errors import invalid_argument

Shapes = Mapping[str, tuple[int, ...]]
"""Of inputs, by tensor name; -1 for any size."""

HARMLESS_OPS: Final = frozenset(
    {
        # calls, and what has no data of the request for input
        "Assert", "Const", "Identity", "If", "NoOp", "PartitionedCall", "Placeholder",
        "ReadVariableOp", "StatefulPartitionedCall", "StatelessRandomGetKeyCounter",
        "StatelessRandomUniformV2", "StatelessWhile", "VarHandleOp",
        # elements and strings
        "AddV2", "Cast", "DecodePaddedRaw", "Greater", "Less", "Mul", "ParseExampleV2", "RealDiv",
        "Sqrt", "StringLength", "Sub",
        # shapes, reductions, matrices
        "All", "ConcatV2", "MatMul", "Mean", "Pack", "Reshape", "Shape", "Softmax", "Squeeze",
        "StridedSlice", "Sum", "Tile",
    }
)  # fmt: skip
"""Asked for every rank, on the fixture models, by a test."""


def checked_shapes(graph_def: Any, signatures: Mapping[str, SignatureSpec]) -> Shapes:
    """The shapes of the inputs to be held against a request."""
    nodes = {node.name: node for node in graph_def.node}
    functions = {each.signature.name: each.node_def for each in graph_def.library.function}
    return {
        tensor.name: tensor.shape
        for signature in signatures.values()
        if not _op_types(signature, nodes, functions) <= HARMLESS_OPS
        for tensor in signature.inputs.values()
        if tensor.shape is not None
    }


def require_ranks(shapes: Shapes, feeds: Mapping[str, Array]) -> None:
    """Refuse arrays of another rank.

    Raises:
        ServingError: INVALID_ARGUMENT, in the words of the graph's own EnsureShape.
    """
    for name, array in feeds.items():
        shape = shapes.get(name)
        if shape is not None and array.ndim != len(shape):
            node_name = name.partition(":")[0]
            raise invalid_argument(
                f"Shape of tensor {node_name} [{_text(array.shape)}] is not compatible with "
                f"expected shape [{_text(shape)}]."
            )


def _op_types(
    signature: SignatureSpec, nodes: Mapping[str, Any], functions: Mapping[str, Any]
) -> set[str]:
    """Of everything that the signature's outputs need, bodies of functions included."""
    types: set[str] = set()
    seen: set[str] = set()
    waiting = [_node_name(tensor.name) for tensor in signature.outputs.values()]
    called: list[str] = []
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        node = nodes[name]
        types.add(node.op)
        called += _function_names(node)
        waiting += map(_node_name, node.input)
    seen.clear()
    while called:
        name = called.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in functions.get(name, ()):
            types.add(node.op)
            called += _function_names(node)
    return types


def _function_names(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        elif value.HasField("list"):
            yield from (function.name for function in value.list.func)


def _node_name(edge: str) -> str:
    """Of `^node`, `node` or `node:1`."""
    return edge.removeprefix("^").partition(":")[0]


def _text(shape: tuple[int, ...]) -> str:
    return ",".join("?" if size < 0 else str(size) for size in shape)
