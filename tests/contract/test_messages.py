"""Our messages and TensorFlow's and TensorFlow Serving's are the same bytes on the wire."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pool
from tensorflow.core.framework import tensor_pb2 as their_tensor_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
    prediction_log_pb2,
)

from protocol.messages import config_pb2, example_pb2, inference_pb2, model_pb2, tensor_pb2
from protocol.tensors import array_from_proto, write_proto
from tests.support.processes import ROOT

# Importing these registers every message of theirs that has a counterpart here.
THEIR_FILES = (
    saved_model_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    prediction_log_pb2,
)
OUR_FILES = (tensor_pb2, model_pb2, inference_pb2, example_pb2, config_pb2)

# Fields of theirs that we do not have; protobuf keeps them as unknown fields, or skips them.
LEFT_OUT = {
    "TensorInfo.CompositeTensor": {"type_spec"},
    "MetaGraphDef": {
        "graph_def", "saver_def", "collection_def", "asset_file_def", "object_graph_def",
    },
    "MetaGraphDef.MetaInfoDef": {
        "meta_graph_version", "stripped_op_list", "any_info", "tensorflow_version",
        "tensorflow_git_version", "stripped_default_attrs", "function_aliases",
    },
    "PredictRequest": {"predict_streamed_options", "client_id", "request_options"},
    "SessionRunLog": {"request", "response"},
    "PredictStreamedLog": {"request", "response"},
    "PredictionLog": {"log_metadata"},
    "FileSystemStoragePathSourceConfig": {
        "servables", "file_system_poll_wait_seconds", "fail_if_zero_versions_at_startup",
        "servable_versions_always_present",
    },
}  # fmt: skip

# Messages whose Python classes nobody publishes: session_bundle_config.proto,
# monitoring_config.proto and ssl_config.proto of TensorFlow Serving 2.20, by name, number and type.
UNPUBLISHED = {
    "BatchingParameters": {
        "max_batch_size": (1, "Int64Value"),
        "batch_timeout_micros": (2, "Int64Value"),
        "max_enqueued_batches": (3, "Int64Value"),
        "num_batch_threads": (4, "Int64Value"),
        "thread_pool_name": (5, "StringValue"),
        "allowed_batch_sizes": (6, "repeated int64"),
        "pad_variable_length_inputs": (7, "bool"),
        "enable_large_batch_splitting": (8, "BoolValue"),
        "max_execution_batch_size": (9, "Int64Value"),
    },
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
    "SSLConfig": {
        "server_key": (1, "string"),
        "server_cert": (2, "string"),
        "custom_ca": (3, "string"),
        "client_verify": (4, "bool"),
    },
}
SCALARS = {3: "int64", 8: "bool", 9: "string"}


def nested(message):
    """A message and all messages in it."""
    yield message
    for each in message.nested_types:
        if not each.GetOptions().map_entry:
            yield from nested(each)


def local_name(described):
    """The name within the package: "ModelVersionStatus.State"."""
    return described.full_name.removeprefix("sightserve.protocol.")


OURS = [
    message
    for file in OUR_FILES
    for top in file.DESCRIPTOR.message_types_by_name.values()
    for message in nested(top)
]
PUBLISHED = [message for message in OURS if message.name not in UNPUBLISHED]
ENUMS = [enum for file in OUR_FILES for enum in file.DESCRIPTOR.enum_types_by_name.values()]
ENUMS += [enum for message in OURS for enum in message.enum_types]


def theirs(find, described):
    """Their descriptor of the same name, from TensorFlow Serving or from TensorFlow."""
    try:
        return find(f"tensorflow.serving.{local_name(described)}")
    except KeyError:
        return find(f"tensorflow.{local_name(described)}")


def shape(field):
    """All that the wire, JSON and the generated code say about a field."""
    is_enum = field.type == field.TYPE_ENUM
    group = field.containing_oneof
    inner = field.message_type
    return {
        "number": field.number,
        # An enum travels as an int32; ours has the error codes as numbers.
        "type": field.TYPE_INT32 if is_enum else field.type,
        "is_repeated": field.is_repeated,
        "is_packed": field.is_packed,
        "has_presence": field.has_presence,
        "json_name": field.json_name,
        "oneof": group and group.name,
        "message": inner and inner.full_name.rpartition(".")[2],
        "map": inner and inner.GetOptions().map_entry and [shape(each) for each in inner.fields],
    }


@pytest.mark.parametrize("message", PUBLISHED, ids=local_name)
def test_a_message_has_the_fields_of_theirs(message):
    other = theirs(descriptor_pool.Default().FindMessageTypeByName, message)
    left_out = LEFT_OUT.get(local_name(message), set())
    expected = {field.name: shape(field) for field in other.fields if field.name not in left_out}
    assert expected == {field.name: shape(field) for field in message.fields}
    assert left_out <= set(other.fields_by_name)


def test_what_is_left_out_is_left_out_of_a_message_of_ours():
    assert LEFT_OUT.keys() <= {local_name(message) for message in PUBLISHED}


@pytest.mark.parametrize("enum", ENUMS, ids=local_name)
def test_an_enum_has_the_values_of_theirs(enum):
    other = theirs(descriptor_pool.Default().FindEnumTypeByName, enum)
    expected = {value.name: value.number for value in other.values}
    assert expected == {value.name: value.number for value in enum.values}


def type_name(field):
    name = field.message_type.name if field.message_type else SCALARS[field.type]
    return f"repeated {name}" if field.is_repeated else name


@pytest.mark.parametrize("name", UNPUBLISHED)
def test_a_message_without_a_python_class_has_the_fields_of_its_definition(name):
    fields = config_pb2.DESCRIPTOR.message_types_by_name[name].fields
    assert UNPUBLISHED[name] == {each.name: (each.number, type_name(each)) for each in fields}


def test_the_generated_code_is_that_of_the_definitions():
    # In a process of its own: protoc and TensorFlow each bring a protobuf library in C++.
    command = [sys.executable, ROOT / "scripts" / "generate_messages.py", "--check"]
    subprocess.run(command, check=True, timeout=60)


def test_a_request_of_theirs_survives_the_way_through_ours():
    request = predict_pb2.PredictRequest(output_filter=["labels"])
    request.model_spec.name = "digits"
    request.model_spec.version.value = 3
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(np.ones((2, 3), np.float32)))
    request.inputs["names"].CopyFrom(tf.make_tensor_proto([b"a", b"\xff"]))
    ours = inference_pb2.PredictRequest.FromString(request.SerializeToString())
    assert ours.model_spec.version.value == 3
    np.testing.assert_array_equal(array_from_proto(ours.inputs["images"]), np.ones((2, 3)))
    assert predict_pb2.PredictRequest.FromString(ours.SerializeToString()) == request


def test_a_warmup_record_of_theirs_survives_with_what_we_leave_out():
    log = prediction_log_pb2.PredictionLog()
    log.log_metadata.model_spec.name = "digits"
    log.predict_log.request.client_id = b"somebody"
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.5]))
    ours = inference_pb2.PredictionLog.FromString(log.SerializeToString())
    assert ours.WhichOneof("log_type") == "predict_log"
    assert prediction_log_pb2.PredictionLog.FromString(ours.SerializeToString()) == log


QUANTIZED = [tf.qint8, tf.quint8, tf.qint16, tf.quint16, tf.qint32]
NUMBERS = [
    *(tf.float32, tf.float64, tf.float16, tf.bfloat16, tf.complex64, tf.complex128, tf.bool),
    *(tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64),
]


@pytest.mark.parametrize("as_content", [False, True])
@pytest.mark.parametrize("dtype", NUMBERS + QUANTIZED, ids=lambda dtype: dtype.name)
def test_tensorflow_reads_our_tensors_as_its_own(dtype, as_content):
    array = np.array([[1, 0, 3]]).astype(dtype.as_numpy_dtype)
    message = tensor_pb2.TensorProto()
    write_proto(array, message, as_content=as_content)
    there = their_tensor_pb2.TensorProto.FromString(message.SerializeToString())
    assert tf.DType(there.dtype) == dtype
    np.testing.assert_array_equal(tf.make_ndarray(there), array)


@pytest.mark.parametrize("dtype", NUMBERS, ids=lambda dtype: dtype.name)
def test_we_read_tensorflows_tensors_as_it_does(dtype):
    there = tf.make_tensor_proto(np.array([[1, 0, 3]]), dtype)
    array = array_from_proto(tensor_pb2.TensorProto.FromString(there.SerializeToString()))
    assert array.dtype == dtype.as_numpy_dtype
    np.testing.assert_array_equal(tf.make_ndarray(there), array)


def test_both_definitions_live_in_one_process():
    assert their_tensor_pb2.TensorProto.DESCRIPTOR.full_name == "tensorflow.TensorProto"
    assert tensor_pb2.TensorProto.DESCRIPTOR.full_name == "sightserve.protocol.TensorProto"
