"""Which operations a part of a graph runs: backwards from its results, into every function.

Works on protocol buffers, so that nothing has to be loaded, let alone run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class Graph:
    """A GraphDef with its library of functions."""

    def __init__(self, graph_def: Any) -> None:
        self._nodes = {node.name: node for node in graph_def.node}
        self._functions = {each.signature.name: each for each in graph_def.library.function}

    def types_for(self, names: Iterable[str]) -> set[str]:
        """The types of all operations that these nodes or tensors of the main graph need."""
        nodes = list(_needed(self._nodes, names))
        return _types(nodes) | self.types_in(_called(nodes))

    def types_in(self, functions: Iterable[str]) -> set[str]:
        """The types of all operations in functions, and in the functions that those call."""
        types: set[str] = set()
        seen: set[str] = set()
        waiting = list(functions)
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self._functions:
                continue
            seen.add(name)
            # All of it: what has an effect runs in a function whether it is returned or not.
            body = self._functions[name].node_def
            types |= _types(body)
            waiting += _called(body)
        return types


def _needed(nodes: dict[str, Any], names: Iterable[str]) -> Iterator[Any]:
    seen: set[str] = set()
    waiting = [_node_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        yield nodes[name]
        waiting += [_node_name(each) for each in nodes[name].input]


def _node_name(tensor: str) -> str:
    """`node:0`, `^node` and `node` are all of `node`."""
    return tensor.removeprefix("^").split(":", 1)[0]


def _types(nodes: Iterable[Any]) -> set[str]:
    return {node.op for node in nodes}


def _called(nodes: Iterable[Any]) -> Iterator[str]:
    """Bodies, branches and conditions; a node whose type is a function's name calls it, too."""
    for node in nodes:
        yield node.op
        for value in node.attr.values():
            if value.HasField("func"):
                yield value.func.name
            elif value.HasField("list"):
                yield from (function.name for function in value.list.func)
