"""The warmup records, read as TensorFlow Serving reads them."""

from datetime import UTC, datetime

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from contract.card import ClassInfo, ModelCard, Source
from contract.image_spec import ImageSpec
from exporter.store import warmup
from tests.support.exporter_models import SIDE


def recorded_shapes(version):
    requests = [
        prediction_log_pb2.PredictionLog.FromString(bytes(record.numpy())).predict_log.request
        for record in tf.data.TFRecordDataset(str(version / warmup.FILE))
    ]
    assert {request.model_spec.signature_name for request in requests} == {"top_k"}
    return [tf.make_ndarray(request.inputs["images"]).shape for request in requests]


def test_warmup_is_top_k_in_the_batch_sizes_of_the_gateway(exported):
    of_the_fixture = (1, 2, 4)
    assert recorded_shapes(exported.path) == [(n, SIDE, SIDE, 3) for n in of_the_fixture]


@pytest.mark.parametrize(
    ("side", "is_compiled", "sizes"),
    [
        (224, False, [1, 2, 4, 8, 16, 32]),
        (380, False, [1, 2, 4, 8]),
        (260, False, [1, 2, 4, 8, 16, 25]),
        (600, False, [1, 2]),
        (600, True, list(range(1, 33))),  # XLA compiles each: none may be left to a request
    ],
)
def test_large_images_are_warmed_up_in_batches_that_memory_is_planned_for(
    tmp_path, side, is_compiled, sizes
):
    card = ModelCard(
        model_name="m",
        classes=(ClassInfo(index=0, label="a"), ClassInfo(index=1, label="b")),
        k=2,
        image=ImageSpec(height=side, width=side),
        is_compiled=is_compiled,
        source=Source(kind="keras", name="m.keras"),
        exported_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    warmup.write(tmp_path, card, 32)
    assert [shape[0] for shape in recorded_shapes(tmp_path)] == sizes


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, [1]), (2, [1, 2]), (32, [1, 2, 4, 8, 16, 32]), (24, [1, 2, 4, 8, 16, 24])],
)
def test_batch_sizes_double_up_to_the_largest(largest, sizes):
    assert warmup.batch_sizes(largest) == sizes
