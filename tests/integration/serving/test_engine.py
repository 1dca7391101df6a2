"""The engine on real SavedModels, in this process: loading, running, warmup, batching."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from protocol.codes import Code
from protocol.models import ModelSpec
from serving.core.errors import ServingError
from serving.engine import BatchingParameters, EngineOptions, import_engine
from serving.inference.batching import BatchedServable
from serving.inference.loading import ModelLoader
from serving.inference.use_cases import Lease
from serving.inference.warmup import RECORDS_FILE
from serving.monitoring import Metrics
from serving.options import Options
from tests.support.fixture_models import copy_version

X = np.ones((1, 3), np.float32)


def lease(servable):
    return Lease(ModelSpec("t"), servable)


def load(path, **options):
    return ModelLoader(import_engine, Options(**options), None, Metrics(is_served=lambda _: True))(
        "t", 1, str(path)
    )


@pytest.fixture(scope="module")
def types(models):
    """Model t, loaded."""
    servable = import_engine().load(str(models / "t" / "1"), EngineOptions())
    yield lease(servable)
    servable.close()


def test_scalars_are_arrays_of_rank_zero(types):
    total = types.predict({"x": np.ones(3, np.float32)}, signature_name="scalar").outputs["total"]
    assert (total.shape, total.dtype) == ((), np.float32)


def test_read_only_arrays_are_fed_as_they_are(types):
    x = np.frombuffer(X.tobytes(), np.float32).reshape(1, 3)
    assert types.predict({"x": x}).outputs["y"].tolist() == [[2, 2, 2]]


def test_a_timeout_is_a_deadline_exceeded(types):
    with pytest.raises(ServingError, match="Timed out waiting for notification") as caught:
        types.predict({"x": X[0, :1]}, signature_name="slow", timeout_seconds=0.05)
    assert caught.value.code is Code.DEADLINE_EXCEEDED


def test_the_init_op_has_no_output(types):
    with pytest.raises(ServingError, match="does not have output 0") as caught:
        types.predict({}, signature_name="__saved_model_init_op")
    assert caught.value.code is Code.OUT_OF_RANGE


def test_signatures_describe_their_tensors(types):
    assert types.signature("multi").inputs["b"].dtype == "DT_INT64"
    assert types.signature("mat").inputs["x"].shape == (-1, 2, 2)


def test_a_directory_without_a_model_is_not_found(tmp_path):
    with pytest.raises(ServingError) as caught:
        import_engine().load(str(tmp_path), EngineOptions())
    assert caught.value.code is Code.NOT_FOUND
    assert caught.value.message.endswith(f"Specified file path: {tmp_path}")


@pytest.mark.parametrize("content", [b"", b"no protobuf", b"\x08\x01"])
def test_a_broken_saved_model_is_an_error_of_its_version(tmp_path, content):
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ServingError):
        import_engine().load(str(tmp_path), EngineOptions())


def test_unknown_tags_are_not_found(models):
    options = EngineOptions(tags=frozenset({"gpu"}))
    with pytest.raises(ServingError, match=r"matching supplied tags: \{ gpu \}"):
        import_engine().load(str(models / "c" / "1"), options)


def test_bfloat16_is_close_to_float32(models):
    servable = load(models / "m" / "2", mixed_precision="bfloat16")
    images = np.full((1, 8, 8, 3), 7, np.uint8)
    scores = lease(servable).predict({"images": images}).outputs["scores"]
    np.testing.assert_allclose(scores, [[2.0256, 2.0307, 1.9842, 2.0384]], atol=0.02)
    servable.close()


def predict_log(x, signature_name=""):
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "whatever"
    request.model_spec.signature_name = signature_name
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(x))
    return log.SerializeToString()


def classify_log():
    log = prediction_log_pb2.PredictionLog()
    example = log.classify_log.request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.extend([1, 2])
    return log.SerializeToString()


def with_records(models, tmp_path, records, model_name="t"):
    version = copy_version(models, model_name, 1, tmp_path / model_name / "1")
    path = version / RECORDS_FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return version


@pytest.mark.parametrize("iterations", [1, 3])
def test_good_warmup_records_run_before_the_version_is_available(models, tmp_path, iterations):
    version = with_records(models, tmp_path, [predict_log(X)] * 2)
    load(version, num_request_iterations_for_warmup=iterations).close()


def test_classify_records_warm_up_too(models, tmp_path):
    load(with_records(models, tmp_path, [classify_log()], "c")).close()


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([predict_log(X), predict_log(X, "nope")], 'Serving signature key "nope" not found.'),
        ([predict_log(np.float32([1000]), "fail")], "x too big"),
        ([b"\xff\xff"], "Failed to parse warmup record"),
        ([b""], "Unsupported log_type"),
        ([predict_log(X)] * 1001, r"exceeds the maximum \(1000\)"),
    ],
    ids=["signature", "failing", "garbage", "empty", "too many"],
)
def test_a_bad_record_keeps_the_version_from_loading(models, tmp_path, records, message):
    version = with_records(models, tmp_path, records)
    with pytest.raises(ServingError, match=message):
        load(version)
    load(version, enable_model_warmup=False).close()


def test_a_corrupt_record_file_keeps_the_version_from_loading(models, tmp_path):
    version = with_records(models, tmp_path, [predict_log(X)])
    path = Path(version, RECORDS_FILE)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ServingError) as caught:
        load(version)
    assert caught.value.code is Code.DATA_LOSS


@pytest.fixture(scope="module")
def batched(models):
    """Model t behind queues of at most eight rows, filled up to four or eight."""
    parameters = BatchingParameters(
        max_batch_size=8,
        batch_timeout_micros=20_000,
        max_enqueued_batches=2,
        num_batch_threads=2,
        allowed_batch_sizes=(4, 8),
    )
    servable = BatchedServable(
        import_engine().load(str(models / "t" / "1"), EngineOptions()),
        import_engine().queue_set(parameters),
        parameters,
        threading.BoundedSemaphore(parameters.num_batch_threads),
    )
    yield lease(servable)
    servable.close()


@pytest.mark.parametrize(
    ("signature", "inputs", "code", "message"),
    [
        ("serving_default", {"x": np.ones((9, 3), np.float32)}, Code.INVALID_ARGUMENT,
         "Task size 9 is larger than maximum input batch size 8"),
        ("serving_default", {"x": np.float32(1)}, Code.INVALID_ARGUMENT,
         "Batching Run() input tensors must have at least one dimension"),
        ("multi", {"a": np.ones(2, np.float32), "b": np.ones(3, np.int64)}, Code.INVALID_ARGUMENT,
         "Batching Run() input tensors must have equal 0th-dimension size"),
        ("scalar", {"x": np.ones(2, np.float32)}, Code.FAILED_PRECONDITION,
         "Batched output tensor has 0 dimensions"),
        ("serving_default", {"x": np.ones((1, 3), np.int32)}, Code.INVALID_ARGUMENT,
         "Expects arg[0] to be float but int32 is provided"),
    ],
)  # fmt: skip
def test_what_cannot_be_batched_is_refused(batched, signature, inputs, code, message):
    with pytest.raises(ServingError) as caught:
        batched.predict(inputs, signature_name=signature)
    assert (code, message) == (caught.value.code, caught.value.message)


def test_concurrent_requests_each_get_their_own_rows(batched):
    def double(i):
        x = np.full((1 + i % 3, 3), i, np.float32)
        try:
            return (batched.predict({"x": x}).outputs["y"] == 2 * x).all()
        except ServingError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(double, range(100)))
    assert outcomes.count(True) > 50
    assert set(outcomes) <= {True, Code.UNAVAILABLE}  # the queue is short on purpose


def test_strings_are_batched(batched):
    s = np.array([b"a", b"\xff"], np.object_)
    outputs = batched.predict({"s": s}, signature_name="strings").outputs
    assert outputs["text"].tolist() == [b"a", b"\xff"]


def test_a_full_queue_is_unavailable(batched):
    def outcome(_):
        try:
            batched.predict({"x": np.ones(8, np.float32)}, signature_name="slow")
        except ServingError as error:
            return error
        return None

    with ThreadPoolExecutor(8) as pool:
        errors = [error for error in pool.map(outcome, range(8)) if error]
    assert errors
    assert {error.code for error in errors} == {Code.UNAVAILABLE}
    assert all(
        "batch scheduling queue to which this task was submitted is full" in error.message
        and "{{node" not in error.message
        for error in errors
    )


def test_no_rows_at_all_answer_at_once(batched):
    assert batched.predict({"x": np.zeros((0, 3), np.float32)}).outputs["y"].shape == (0, 3)
