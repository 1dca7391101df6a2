"""Grouped convolutions as ordinary ops, where Keras has XLA compile each of them.

On a CPU, Keras wraps a convolution with groups into a function marked `_XlaMustCompile`. XLA's code
is slow there (63 ms for one of ConvNeXt's where the depthwise op takes 1.1), and it is compiled
anew for every batch size. TensorFlow's own kernels do the same:

    one channel per group   DepthwiseConv2dNative, which every build runs fast
    anything else           Conv2D, whose kernel finds the groups from the shapes, behind it an
                            EnsureShape: builds without oneDNN would fuse the convolution with the
                            bias behind it and then say that fused ones take no groups

What is marked and holds no such convolution loses its mark too, unless something in it needs XLA.
Works on the traced graph, so on every kind of source; the source itself is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf

_MUST_COMPILE: Final = "_XlaMustCompile"
_NOT_INLINED: Final = "_noinline"  # set with the mark; without it the call disappears
_OUTERMOST: Final = ""
_DEPTHWISE_TYPES: Final = (tf.bfloat16, tf.float16, tf.float32, tf.float64)
_XLA_ONLY: Final = ("Xla", "Conv3D")  # prefixes; grouped Conv3D has no kernel for CPUs


@dataclass(frozen=True, slots=True)
class _Convolution:
    """A Conv2D with groups, channels last."""

    channels: int
    kernel: tuple[int, int, int, int]
    """Height, width, channels that one filter sees, filters."""
    is_depthwise: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What changes, by the name of a function; the outermost graph has the empty name."""

    convolutions: dict[str, dict[str, _Convolution]]
    unmarked: frozenset[str]


def run_natively(concrete: Any) -> Any:
    """The same concrete function, free of XLA where TensorFlow's own kernels do.

    Args:
        concrete: a traced function of one tensor with one result; its variables are shared.

    Returns:
        `concrete` itself when there is nothing to change.
    """
    plan = _plan(_bodies(concrete.graph))
    if not plan.unmarked and not any(plan.convolutions.values()):
        return concrete
    graph_def = concrete.graph.as_graph_def()
    _rewrite(graph_def, plan, suffix=f"_of_{concrete.name.decode()}")
    (images,) = concrete.structured_input_signature[0]

    def call(x: tf.Tensor) -> tf.Tensor:
        graph = tf.compat.v1.get_default_graph()
        for variable in concrete.variables:
            graph.watch_variable(variable)  # so that freezing and saving find them
        inputs = {
            internal.name: graph.capture(external) for external, internal in concrete.graph.captures
        }
        inputs[concrete.inputs[0].name] = x
        (scores,) = tf.graph_util.import_graph_def(
            graph_def, inputs, [concrete.outputs[0].name], name="native"
        )
        return scores

    # Not tf.function, which would not make the functions of an imported graph known.
    return tf.compat.v1.wrap_function(call, [images])


def _bodies(graph: Any) -> dict[str, Any]:
    """Every function that can be reached, with its graph; the names are unique in a process."""
    bodies = {_OUTERMOST: graph}
    waiting = [graph]
    while waiting:
        inside = waiting.pop()
        for name in _names_called(inside):
            body = getattr(inside._get_function(name), "graph", None)  # noqa: SLF001 - no public way
            if name not in bodies and body is not None:
                bodies[name] = body
                waiting.append(body)
    return bodies


def _names_called(graph: Any) -> Iterator[str]:
    for op in graph.get_operations():
        for attribute in op.op_def.attr:
            if attribute.type == "func":
                yield op.get_attr(attribute.name).name
            elif attribute.type == "list(func)":
                yield from (function.name for function in op.get_attr(attribute.name))


def _plan(bodies: dict[str, Any]) -> _Plan:
    convolutions = {
        name: {op.name: found for op in graph.get_operations() if (found := _grouped(op))}
        for name, graph in bodies.items()
    }
    marked = {name for graph in bodies.values() for name in _marked_calls(graph)}
    return _Plan(convolutions, frozenset(name for name in marked if _has_native_ops(name, bodies)))


def _marked_calls(graph: Any) -> Iterator[str]:
    for op in graph.get_operations():
        if op.type in {"PartitionedCall", "StatefulPartitionedCall"} and _flag(op, _MUST_COMPILE):
            yield op.get_attr("f").name


def _has_native_ops(name: str, bodies: dict[str, Any]) -> bool:
    """Whether a function and all that it calls run without XLA, once they are rewritten."""
    seen = {name}
    waiting = [name]
    while waiting:
        graph = bodies.get(waiting.pop())
        if graph is None or any(_needs_xla(op) for op in graph.get_operations()):
            return False
        called = set(_names_called(graph)) - seen
        seen |= called
        waiting += called
    return True


def _needs_xla(op: Any) -> bool:
    if op.type.startswith(_XLA_ONLY) or _text(op, "data_format").startswith("NC"):
        return True
    return op.type == "Conv2D" and _depths(op) is None


def _grouped(op: Any) -> _Convolution | None:
    if op.type != "Conv2D" or _text(op, "data_format") != "NHWC":
        return None
    depths = _depths(op)
    if depths is None or depths[0] == depths[1][2]:
        return None
    channels, kernel = depths
    _, *strides, _ = op.get_attr("strides")
    is_depthwise = (
        kernel[2] == 1
        and op.inputs[0].dtype in _DEPTHWISE_TYPES
        # what the depthwise kernel does not take
        and len(set(strides)) == 1
        and set(op.get_attr("dilations")) == {1}
        and _text(op, "padding") != "EXPLICIT"
    )
    return _Convolution(channels, kernel, is_depthwise)


def _depths(op: Any) -> tuple[int, tuple[int, int, int, int]] | None:
    """Channels and the kernel's shape; None where the trace does not know them."""
    images, kernel = op.inputs[0].shape, op.inputs[1].shape
    if images.rank is None or images[-1] is None or not kernel.is_fully_defined():
        return None
    return images[-1], tuple(kernel)


def _flag(op: Any, name: str) -> bool:
    try:
        return bool(op.get_attr(name))
    except ValueError:  # it has no such attribute
        return False


def _text(op: Any, name: str) -> str:
    try:
        text: str = op.get_attr(name).decode()
    except ValueError:  # it has no such attribute
        return ""
    return text


def _rewrite(graph_def: Any, plan: _Plan, *, suffix: str) -> None:
    """Change a GraphDef in place; its functions get new names, as the old ones stay in use."""
    names = {function.signature.name for function in graph_def.library.function}
    _replace(graph_def.node, plan.convolutions[_OUTERMOST], output="")
    _redirect(graph_def.node, plan, names, suffix)
    for function in graph_def.library.function:
        name = function.signature.name
        # Inside a function, an input names the output that it takes.
        _replace(function.node_def, plan.convolutions.get(name, {}), output=":output:0")
        _redirect(function.node_def, plan, names, suffix)
        if name in plan.unmarked:
            function.attr.pop(_MUST_COMPILE, None)
            function.attr.pop(_NOT_INLINED, None)
        function.signature.name = name + suffix
    del graph_def.library.gradient[:]  # of the old names, and nobody trains this


def _redirect(nodes: Iterable[Any], plan: _Plan, names: set[str], suffix: str) -> None:
    for node in nodes:
        if "f" in node.attr and node.attr["f"].func.name in plan.unmarked:
            node.attr.pop(_MUST_COMPILE, None)
        for value in node.attr.values():
            called = [value.func] if value.HasField("func") else value.list.func
            for function in called:
                if function.name in names:
                    function.name += suffix


def _replace(nodes: Any, convolutions: dict[str, _Convolution], *, output: str) -> None:
    for node in [node for node in nodes if node.name in convolutions]:
        convolution = convolutions[node.name]
        if convolution.is_depthwise:
            _make_depthwise(nodes, node, convolution, output)
        else:
            _keep_unfused(nodes, node, convolution, output)


def _make_depthwise(nodes: Any, node: Any, convolution: _Convolution, output: str) -> None:
    """[h,w,1,C*M] is [h,w,C,M] in memory; channel c gives the results c*M to c*M+M-1 in both."""
    height, width, _, filters = convolution.kernel
    channels = convolution.channels
    shape = nodes.add(name=f"{node.name}/depthwise_shape", op="Const")
    shape.attr["dtype"].type = tf.int32.as_datatype_enum
    shape.attr["value"].tensor.CopyFrom(
        tf.make_tensor_proto([height, width, channels, filters // channels], tf.int32)
    )
    kernel = nodes.add(name=f"{node.name}/depthwise_kernel", op="Reshape")
    kernel.input.extend([node.input[1], shape.name + output])
    kernel.attr["T"].CopyFrom(node.attr["T"])
    kernel.attr["Tshape"].type = tf.int32.as_datatype_enum
    node.op = "DepthwiseConv2dNative"
    node.input[1] = kernel.name + output
    for name in ("use_cudnn_on_gpu", "explicit_paddings"):  # Conv2D's; the second is empty
        node.attr.pop(name, None)


def _keep_unfused(nodes: Any, node: Any, convolution: _Convolution, output: str) -> None:
    barrier_name = node.name  # what the ops behind it ask for
    node.name = f"{barrier_name}/grouped"
    barrier = nodes.add(name=barrier_name, op="EnsureShape", input=[node.name + output])
    barrier.attr["T"].CopyFrom(node.attr["T"])
    shape = tf.TensorShape([None, None, None, convolution.kernel[3]])
    barrier.attr["shape"].shape.CopyFrom(shape.as_proto())
