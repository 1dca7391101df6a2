"""Our messages and tensorflow-serving-api's are the same bytes on the wire."""

from __future__ import annotations

import pytest
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    status_pb2,
)

from app.model_server.wire import wire_pb2


@pytest.fixture(scope="module")
def theirs():
    modules = (
        tensor_pb2, tensor_shape_pb2, types_pb2, meta_graph_pb2, get_model_metadata_pb2,
        get_model_status_pb2, model_pb2, predict_pb2, status_pb2,
    )  # fmt: skip
    found = {}
    for module in modules:
        for message in module.DESCRIPTOR.message_types_by_name.values():
            found[message.name] = message
        for enum in module.DESCRIPTOR.enum_types_by_name.values():
            found[enum.name] = enum
    return found


def messages(container):
    for message in container.values():
        if not message.GetOptions().map_entry:
            yield message
            yield from messages(message.nested_types_by_name)


OURS = list(messages(wire_pb2.DESCRIPTOR.message_types_by_name))
FIELDS = [field for message in OURS for field in message.fields]


def counterpart(message, theirs):
    if message.containing_type is None:
        return theirs[message.name]
    return counterpart(message.containing_type, theirs).nested_types_by_name[message.name]


def label(field):
    return "repeated" if field.is_repeated else "single"


def wire_type(field):
    """An enum travels as an int32."""
    return field.TYPE_INT32 if field.type == field.TYPE_ENUM else field.type


def plain_name(full_name):
    return full_name.rsplit(".", 1)[-1]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.full_name)
def test_fields_agree_in_number_type_and_label(field, theirs):
    same = counterpart(field.containing_type, theirs).fields_by_name[field.name]
    assert (field.number, wire_type(field), label(field)) == (
        same.number,
        wire_type(same),
        label(same),
    )
    assert field.is_packed == same.is_packed
    if field.message_type is None:
        return
    assert plain_name(field.message_type.full_name) == plain_name(same.message_type.full_name)
    if field.message_type.GetOptions().map_entry:
        for name in ("key", "value"):
            ours, other = (each.message_type.fields_by_name[name] for each in (field, same))
            assert (ours.number, ours.type) == (other.number, other.type)


def test_version_and_label_exclude_each_other_as_in_theirs(theirs):
    ours = wire_pb2.ModelSpec.DESCRIPTOR.oneofs_by_name["version_choice"]
    same = theirs["ModelSpec"].oneofs_by_name["version_choice"]
    assert {field.name for field in ours.fields} == {field.name for field in same.fields}


@pytest.mark.parametrize(
    ("ours", "path"),
    [
        (wire_pb2.DataType.DESCRIPTOR, ("DataType",)),
        (wire_pb2.ModelVersionStatus.State.DESCRIPTOR, ("ModelVersionStatus", "State")),
    ],
)
def test_enum_values_agree(ours, path, theirs):
    same = theirs[path[0]]
    for name in path[1:]:
        same = same.enum_types_by_name[name]
    expected = {name: same.values_by_name[name].number for name in ours.values_by_name}
    assert {name: value.number for name, value in ours.values_by_name.items()} == expected


def test_a_request_survives_the_way_through_theirs():
    request = wire_pb2.PredictRequest(output_filter=["labels"])
    request.model_spec.name = "digits"
    request.model_spec.version.value = 3
    request.inputs["images"].dtype = wire_pb2.DT_UINT8
    request.inputs["images"].tensor_content = b"\x01\x02"
    request.inputs["images"].tensor_shape.dim.add(size=2)
    there = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert there.model_spec.version.value == 3
    assert there.inputs["images"].tensor_content == b"\x01\x02"
    assert wire_pb2.PredictRequest.FromString(there.SerializeToString()) == request


def test_both_definitions_live_in_one_process():
    assert tensor_pb2.TensorProto.DESCRIPTOR.full_name == "tensorflow.TensorProto"
    assert wire_pb2.TensorProto.DESCRIPTOR.full_name == "sightserve.wire.TensorProto"
