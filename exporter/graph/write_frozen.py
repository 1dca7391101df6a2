"""Writes a frozen network and the five signatures as a SavedModel, with one copy of the weights.

               pixels ─► unpack ─┐
                                 ├─► concat ─► images ─► network ─► probabilities ─► top k, labels
    image_bytes ─► decode ───────┘

The three inputs are placeholders with defaults: whoever feeds one leaves the others at their
defaults of no images, so that every signature runs through the same nodes. A SavedModel of
TensorFlow 2 would hold the weights in a function per signature and copy them some thirty times
while it is traced and written; this graph is imported once and written once. A model server reads
both alike: it runs sessions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.framework import meta_graph  # the list of ops that a reader needs

from contract import signatures as names
from exporter.errors import FailedError, first_line
from exporter.graph.freeze import Frozen
from exporter.graph.functions import Head, Outputs, card_outputs

_SAVED_MODEL_SCHEMA_VERSION: Final = 1
_PREDICT: Final = tf.compat.v1.saved_model.signature_constants.PREDICT_METHOD_NAME

Signatures = dict[str, tuple[Outputs, Outputs]]
"""Inputs and outputs by the signature's name."""


def write_frozen(version_path: Path, frozen: Frozen, head: Head, card_json: str) -> None:
    """Write `saved_model.pb`; `frozen` is emptied, so that its weights are not held twice.

    Raises:
        FailedError: the graph cannot be written.
    """
    try:
        graph = tf.Graph()
        with graph.as_default():
            signatures = _build(frozen, head, card_json)
        content = _saved_model(graph, signatures).SerializeToString(deterministic=True)
    except Exception as error:
        raise FailedError(f"cannot write the SavedModel: {first_line(error)}") from error
    version_path.mkdir(parents=True, exist_ok=True)
    (version_path / "saved_model.pb").write_bytes(content)


def _build(frozen: Frozen, head: Head, card_json: str) -> Signatures:
    none = tf.constant([], tf.string)
    placeholder = tf.compat.v1.placeholder_with_default
    pixels = placeholder(none, [None], names.PIXELS)
    files = placeholder(none, [None], names.IMAGE_BYTES)
    decoded = tf.concat([head.unpack(pixels), head.decode(files)], axis=0)
    shape = [None, head.image.height, head.image.width, 3]
    images = placeholder(decoded, shape, names.IMAGES)
    (scores,) = tf.graph_util.import_graph_def(
        frozen.take(),
        input_map={frozen.input_name: head.require_images(images)},
        return_elements=[frozen.output_name],
        name="network",
    )
    probabilities = tf.identity(scores, names.PROBABILITIES)
    top_k = head.top_k(probabilities)
    query = tf.compat.v1.placeholder(tf.int32, [None], names.QUERY)
    return {
        names.SERVING_DEFAULT: ({names.IMAGES: images}, {names.PROBABILITIES: probabilities}),
        names.TOP_K: ({names.IMAGES: images}, top_k),
        names.TOP_K_RAW: ({names.PIXELS: pixels}, top_k),
        names.TOP_K_ENCODED: ({names.IMAGE_BYTES: files}, top_k),
        names.MODEL_CARD: ({names.QUERY: query}, card_outputs(query, card_json)),
    }


def _saved_model(graph: tf.Graph, signatures: Signatures) -> saved_model_pb2.SavedModel:
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=_SAVED_MODEL_SCHEMA_VERSION)
    meta = saved.meta_graphs.add()
    meta.graph_def.MergeFrom(graph.as_graph_def())
    meta.meta_info_def.tags.append(tf.saved_model.SERVING)
    meta.meta_info_def.tensorflow_version = tf.version.VERSION
    meta.meta_info_def.tensorflow_git_version = tf.version.GIT_VERSION
    ops = meta_graph.stripped_op_list_for_graph(meta.graph_def)
    meta.meta_info_def.stripped_op_list.MergeFrom(ops)
    for name, (inputs, outputs) in signatures.items():
        meta.signature_def[name].CopyFrom(_signature(inputs, outputs))
    return saved


def _signature(inputs: Outputs, outputs: Outputs) -> meta_graph_pb2.SignatureDef:
    return meta_graph_pb2.SignatureDef(
        inputs={name: _tensor_info(tensor) for name, tensor in inputs.items()},
        outputs={name: _tensor_info(tensor) for name, tensor in outputs.items()},
        method_name=_PREDICT,
    )


def _tensor_info(tensor: tf.Tensor) -> meta_graph_pb2.TensorInfo:
    return meta_graph_pb2.TensorInfo(
        name=tensor.name, dtype=tensor.dtype.as_datatype_enum, tensor_shape=tensor.shape.as_proto()
    )
