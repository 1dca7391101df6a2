"""The warmup records, read as TensorFlow Serving reads them."""

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from exporter.store import warmup
from tests.support.exporter_models import SIDE


def test_warmup_is_top_k_in_the_batch_sizes_of_the_gateway(exported):
    file = str(exported.path / warmup.FILE)
    requests = [
        prediction_log_pb2.PredictionLog.FromString(bytes(record.numpy())).predict_log.request
        for record in tf.data.TFRecordDataset(file)
    ]
    assert {request.model_spec.signature_name for request in requests} == {"top_k"}
    shapes = [tf.make_ndarray(request.inputs["images"]).shape for request in requests]
    assert shapes == [(n, SIDE, SIDE, 3) for n in (1, 2, 4)]  # the fixture's largest batch


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, [1]), (2, [1, 2]), (32, [1, 2, 4, 8, 16, 32]), (24, [1, 2, 4, 8, 16, 24])],
)
def test_batch_sizes_double_up_to_the_largest(largest, sizes):
    assert warmup.batch_sizes(largest) == sizes
