"""A traced function read backwards, from a tensor to what made it, through the calls on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import tensorflow as tf

CALLS: Final = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_SAME_VALUES: Final = frozenset(
    {"Identity", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "CheckNumerics",
     "Reshape", "Squeeze", "ExpandDims", "Cast"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor inside a graph, and the calls that led into it, outermost first."""

    tensor: tf.Tensor
    callers: tuple[Any, ...] = ()

    @property
    def op(self) -> Any:
        """The operation that makes it."""
        return self.tensor.op

    def input(self, index: int) -> Place:
        """What the operation was given."""
        return replace(self, tensor=self.op.inputs[index])


def output_of(concrete: Any) -> Place:
    """The first tensor that a concrete function returns."""
    return Place(concrete.outputs[0])


def origin(place: Place) -> Place:
    """Where the numbers of a tensor come from: past reshapes and casts, into and out of calls."""
    while True:
        if place.op.type in _SAME_VALUES:
            place = place.input(0)
        elif place.op.type in CALLS:
            inner = called_graph(place.op, place.callers)
            returned = inner.outputs[place.tensor.value_index]
            place = Place(returned, (*place.callers, place.op))
        elif place.op.type == "Placeholder" and place.callers:
            *outer, call = place.callers
            index = [each is place.tensor for each in place.op.graph.inputs].index(True)
            place = Place(call.inputs[index], tuple(outer))
        else:
            return place


def called_graph(call: Any, callers: tuple[Any, ...] = ()) -> Any:
    """The body of the function that an operation calls."""
    return _function(call.get_attr("f").name, [call.graph, *(each.graph for each in callers)]).graph


def operations(graph: Any) -> Iterator[Any]:
    """Every operation of a graph and of all functions that it can reach; each body once."""
    seen: set[str] = set()
    waiting = [(graph, [graph])]
    while waiting:
        body, outer = waiting.pop()
        for op in body.get_operations():
            yield op
            for name in function_names(op.node_def):
                if name not in seen:
                    seen.add(name)
                    inner = _function(name, outer).graph
                    waiting.append((inner, [inner, *outer]))


def function_names(node: Any) -> Iterator[str]:
    """The functions that a node may call: its body, branches, condition."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        elif value.HasField("list"):
            yield from (function.name for function in value.list.func)


def _function(name: str, graphs: list[Any]) -> Any:
    # TensorFlow has no public name for a graph's library
    found = (each._get_function(name) for each in graphs)  # noqa: SLF001
    return next(function for function in found if function is not None)
