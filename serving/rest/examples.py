"""The body of a classify or regress request: JSON objects to tf.Example protos."""

from __future__ import annotations

from typing import Any

import numpy as np
from tensorflow_serving.apis import input_pb2

from serving.core.errors import ServingError
from serving.rest import documents, json_tensors, jsontext, rapidjson
from serving.rest.json_tensors import invalid

_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}
_INT64_MAX = 2**63 - 1


def parse_examples(body: bytes) -> tuple[str, input_pb2.Input]:
    """The signature name ("" for the default) and the examples, with their context if there is one.

    Raises:
        ServingError: INVALID_ARGUMENT with TensorFlow Serving's message.
    """
    document = documents.read_quickly(body)
    if document is not None:
        try:
            return _request(document)
        except ServingError:
            pass  # the exact reading says it in their words
    return _request(documents.read_exactly(body))


def _request(document: dict[str, Any]) -> tuple[str, input_pb2.Input]:
    name = documents.signature_name(document)
    request = input_pb2.Input()
    target = request.example_list
    if "context" in document:
        target = request.example_list_with_context
        _fill(target.context, document["context"])
    for value in _examples(document):
        _fill(target.examples.add(), value)
    return name, request


def _examples(document: dict[str, Any]) -> list[Any]:
    if "examples" not in document:
        problem = "When method is classify, key 'examples' is expected and was not found"
    elif not isinstance(document["examples"], list):
        problem = "Expecting 'examples' value to be an list/array"
    elif not document["examples"]:
        problem = "'examples' value is an empty array"
    else:
        return list(document["examples"])
    raise invalid(f"JSON Value: {jsontext.pretty(document)} {problem}")


def _fill(example: Any, value: Any) -> None:
    """Write a JSON object into a tf.Example."""
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {jsontext.type_name(value)}")
    for name, content in rapidjson.members(value):
        # A feature name that is no UTF-8 has no place in a proto's string field.
        feature = example.features.feature[jsontext.encode(name).decode("utf-8", "replace")]
        feature.Clear()  # of a repeated name the last counts
        for element in content if isinstance(content, list) else [content]:
            _add(element, name, feature)


def _add(value: Any, name: str, feature: Any) -> None:
    """Append one element; the first decides the feature's kind."""
    if isinstance(value, bool):
        _values(feature, "int64_list", name).append(int(value))
    elif isinstance(value, int):
        if value > _INT64_MAX or not json_tensors.is_64_bit(value):
            raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
        _values(feature, "int64_list", name).append(value)
    elif isinstance(value, float):
        with np.errstate(over="ignore"):
            _values(feature, "float_list", name).append(float(np.float32(value)))
    elif isinstance(value, str):
        _values(feature, "bytes_list", name).append(jsontext.encode(value))
    elif json_tensors.is_base64(value):
        _values(feature, "bytes_list", name).append(json_tensors.decode_base64(value))
    else:
        raise invalid(
            f"Feature: {name} has element with unexpected JSON type: {jsontext.type_name(value)}"
        )


def _values(feature: Any, kind: str, name: str) -> Any:
    """The list of one kind. INVALID_ARGUMENT when the feature already has another."""
    present = feature.WhichOneof("kind")
    if present not in {None, kind}:
        raise invalid(
            f"Unexpected element type in feature: {name} expecting type: {_KINDS[present]}"
        )
    return getattr(feature, kind).value
