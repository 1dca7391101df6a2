"""Warmup records: TensorFlow Serving replays them before a version turns AVAILABLE.

Only `top_k`, which the gateway calls over gRPC: every signature that runs keeps its own optimised
copy of a frozen graph, so warming up the others would double the memory for nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import tensorflow as tf

from contract import signatures as names
from contract.card import ModelCard
from exporter.batches import images_at_once
from protocol.messages import inference_pb2, tensor_pb2

FILE: Final = "assets.extra/tf_serving_warmup_requests"
_GREY: Final = 127


def batch_sizes(max_batch_size: int) -> list[int]:
    """1, 2, 4 … up to and with the largest batch of the gateway."""
    sizes = [1]
    while sizes[-1] * 2 < max_batch_size:
        sizes.append(sizes[-1] * 2)
    return sizes if sizes[-1] == max_batch_size else [*sizes, max_batch_size]


def write(version: Path, card: ModelCard, max_batch_size: int) -> None:
    """Write one `top_k` request of grey images per batch size.

    The largest batch has as many images as memory is planned for (`batches.images_at_once`): 32
    images of 600 pixels take gigabytes in the model server.
    """
    path = version / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        # XLA compiles each size anew: none may be left to a request.
        every = range(1, max_batch_size + 1)
        largest = images_at_once(max_batch_size, card.image.height, card.image.width)
        for size in every if card.is_compiled else batch_sizes(largest):
            writer.write(_record(card, size).SerializeToString())


def _record(card: ModelCard, size: int) -> inference_pb2.PredictionLog:
    record = inference_pb2.PredictionLog()
    request = record.predict_log.request
    request.model_spec.name = card.model_name
    request.model_spec.signature_name = names.TOP_K
    request.inputs[names.IMAGES].CopyFrom(_grey_images(card, size))
    return record


def _grey_images(card: ModelCard, size: int) -> tensor_pb2.TensorProto:
    """One value and a shape: a TensorProto repeats its last value, so the record stays tiny."""
    proto = tensor_pb2.TensorProto(dtype=tensor_pb2.DT_UINT8, int_val=[_GREY])
    for dimension in (size, card.image.height, card.image.width, 3):
        proto.tensor_shape.dim.add(size=dimension)
    return proto
