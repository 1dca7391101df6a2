"""Weights and arithmetic in bfloat16 (8 bits of exponent, 8 of precision), in the served graph.

Grappler decides op by op, as TensorFlow's own `auto_mixed_precision_onednn_bfloat16` does: what
multiplies goes to bfloat16, softmax and the like stay in float32. It is run here, at export:
TensorFlow Serving has it for all models at once only, and behind every check. What it leaves are
ordinary ops, which any TensorFlow runs: fast where the CPU has AVX512_BF16 or AMX, emulated
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer  # the optimiser has no public name

from exporter.errors import FailedError, RefusedError, first_line
from exporter.graph.freeze import trace
from exporter.graph.quiet import quiet_native_stderr

# Folded before (batch normalisation goes into the kernels in float32) and after (the casts of
# weights become weights, which halves the file).
_PASSES: Final = (
    ("constfold", "pruning"),
    ("auto_mixed_precision_onednn_bfloat16",),
    ("constfold", "pruning"),
)
_MULTIPLIERS: Final = {"Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2", "Einsum"}


def to_bfloat16(
    score: Callable[[tf.Tensor], tf.Tensor], *, height: int, width: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Rewrite a scorer.

    Args:
        score: uint8 [N,H,W,3] to float32 [N,C].
        height: H.
        width: W.

    Returns:
        The same, to be called in a graph or eagerly.

    Raises:
        RefusedError: its weights cannot become constants, or nothing in it multiplies.
        FailedError: TensorFlow cannot rewrite it.
    """
    concrete, _ = trace(score, height=height, width=width)
    try:
        with quiet_native_stderr():
            frozen = convert_variables_to_constants_v2(concrete)
            definition = _rewrite(frozen)
    except Exception as error:
        raise FailedError(
            f"the graph cannot be rewritten to bfloat16: {first_line(error)}; leave --precision out"
        ) from error
    if len(frozen.inputs) != 1:
        raise RefusedError(
            "the graph holds lookup tables or the like, which cannot be rewritten to bfloat16; "
            "leave --precision out",
            step="precision",
        )
    if not count_multipliers(definition):
        raise RefusedError(
            "nothing in the graph could be moved to bfloat16 (TensorFlow's rewriter needs oneDNN: "
            "x86-64 Linux and TF_ENABLE_ONEDNN_OPTS not 0); leave --precision out",
            step="precision",
        )
    return _imported(definition, frozen.inputs[0].name, frozen.outputs[0].name, height, width)


def count_multipliers(definition: Any) -> int:
    """How many convolutions and matrix products of a GraphDef compute in bfloat16."""
    return sum(
        node.op in _MULTIPLIERS and node.attr["T"].type == tf.bfloat16.as_datatype_enum
        for node in definition.node
    )


def _rewrite(frozen: Any) -> Any:
    definition = frozen.graph.as_graph_def()
    for passes in _PASSES:
        meta = meta_graph_pb2.MetaGraphDef(graph_def=definition)
        fetched = [tensor.op.name for tensor in frozen.outputs]
        meta.collection_def["train_op"].node_list.value.extend(fetched)
        config = config_pb2.ConfigProto()
        options = config.graph_options.rewrite_options
        options.min_graph_nodes = -1  # small graphs too
        options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
        options.optimizers.extend(passes)
        definition = tf_optimizer.OptimizeGraph(config, meta)
    return definition


def _imported(
    definition: Any, input_name: str, output_name: str, height: int, width: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    def call(images: tf.Tensor) -> tf.Tensor:
        return tf.graph_util.import_graph_def(
            definition, input_map={input_name: images}, return_elements=[output_name], name=""
        )[0]

    concrete, _ = trace(call, height=height, width=width)
    return concrete  # type: ignore[no-any-return]  # TensorFlow has no types
