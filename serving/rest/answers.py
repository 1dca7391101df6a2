"""Answers as JSON bodies, laid out as TensorFlow Serving lays them out."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import Message

from protocol.messages import model_pb2
from protocol.models import Metadata, ModelSpec, VersionStatus
from protocol.tensors import Array, dtype_name
from protocol.wire import write_model_spec, write_signatures
from serving.core.errors import invalid_argument
from serving.inference.methods import ClassScore
from serving.rest.elements import FLOATS, INTEGERS, type_string
from serving.rest.requests import Format
from serving.rest.text import INDENT, encode, float_texts, quoted

_BYTES_SUFFIX = "_bytes"
_INTEGERS = {np.dtype(kind) for kind in INTEGERS.values()}
_FLOATS = {np.dtype(kind) for kind in FLOATS.values()}


def error_body(message: str) -> bytes:
    """{"error": message}."""
    return encode(f'{{\n{INDENT}"error": {quoted(message)}\n}}')


def status_body(statuses: Iterable[VersionStatus]) -> bytes:
    """A GetModelStatusResponse."""
    listed = [
        {
            "version": str(status.version),
            "state": status.state.name,
            "status": {"error_code": status.code.name, "error_message": status.message},
        }
        for status in statuses
    ]
    return json.dumps({"model_version_status": listed}, indent=1).encode() + b"\n"


def metadata_body(metadata: Metadata) -> bytes:
    """A GetModelMetadataResponse with its signatures unpacked."""
    spec = model_pb2.ModelSpec()
    write_model_spec(ModelSpec(metadata.name, metadata.version), spec)
    signatures = write_signatures(metadata.signatures)
    return (
        f'{{\n"model_spec":{_message_text(spec)}\n,\n'
        f'"metadata": {{"signature_def": {_message_text(signatures)}\n}}\n}}\n'
    ).encode()


def _message_text(message: Message) -> str:
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=1,
    )


def predict_body(outputs: Mapping[str, Array], layout: Format) -> bytes:
    """The outputs of a predict request, one object or value per row, or one list per output.

    Raises:
        ServingError: INVALID_ARGUMENT for outputs that have no JSON form in this layout.
    """
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    ordered = dict(sorted(outputs.items()))
    text = _rows(ordered) if layout is Format.ROW else _columns(ordered)
    return encode(text)


def classification_body(results: Sequence[Sequence[ClassScore]]) -> bytes:
    """[label, score] pairs of each example.

    Raises:
        ServingError: INVALID_ARGUMENT when there are no results.
    """
    if not results:
        raise invalid_argument("Cannot convert empty ClassificationResults to JSON")
    scores = [np.array([entry.score for entry in classes], np.float32) for classes in results]
    examples = (
        ", ".join(
            f"[{quoted(entry.label)}, {score}]"
            for entry, score in zip(classes, float_texts(numbers), strict=True)
        )
        for classes, numbers in zip(results, scores, strict=True)
    )
    lists = ", ".join(f"[{example}]" for example in examples)
    return encode(f'{{\n{INDENT}"results": [{lists}\n{INDENT}]\n}}')


def regression_body(results: Sequence[float]) -> bytes:
    """One value per example.

    Raises:
        ServingError: INVALID_ARGUMENT when there are no results.
    """
    if not results:
        raise invalid_argument("Cannot convert empty RegressionResults to JSON")
    values = ", ".join(float_texts(np.array(results, np.float32)))
    return encode(f'{{\n{INDENT}"results": [{values}]\n}}')


def _rows(outputs: Mapping[str, Array]) -> str:
    count = _batch_size(outputs)
    columns = {name: _row_texts(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        (rows,) = columns.values()
        return f'{{\n{INDENT}"predictions": [{", ".join(rows)}\n{INDENT}]\n}}'
    objects = (
        _object([f"{quoted(name)}: {texts[row]}" for name, texts in columns.items()], 2)
        for row in range(count)
    )
    listed = ",\n".join(f"{2 * INDENT}{text}" for text in objects)
    return f'{{\n{INDENT}"predictions": [\n{listed}\n{INDENT}]\n}}'


def _batch_size(outputs: Mapping[str, Array]) -> int:
    batch_size: int | None = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if batch_size is not None and len(array) != batch_size:
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} "
                f"expecting: {batch_size}"
            )
        batch_size = len(array)
    return batch_size or 0


def _row_texts(name: str, array: Array) -> list[str]:
    """Each row of a tensor, on one line."""
    texts = _element_texts(name, array, 3)
    for axis in range(array.ndim - 1, 0, -1):
        texts = [f"[{', '.join(part)}]" for part in _lists(texts, array.shape, axis)]
    return texts


def _columns(outputs: Mapping[str, Array]) -> str:
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return _object([f'"outputs": {_nested(name, array, 1)}'], 0)
    fields = [f"{quoted(name)}: {_nested(name, array, 2)}" for name, array in outputs.items()]
    return _object([f'"outputs": {_object(fields, 1)}'], 0)


def _nested(name: str, array: Array, depth: int) -> str:
    """A whole tensor with one element or bracket per line, `depth` levels in."""
    texts = _element_texts(name, array, depth + array.ndim)
    for axis in range(array.ndim - 1, -1, -1):
        inner, outer = (f"\n{(depth + level) * INDENT}" for level in (axis + 1, axis))
        separator = f",{inner}"
        texts = [
            f"[{inner}{separator.join(part)}{outer}]" if part else "[]"
            for part in _lists(texts, array.shape, axis)
        ]
    return texts[0]


def _lists(texts: list[str], shape: tuple[int, ...], axis: int) -> Iterator[list[str]]:
    """The elements along one axis, list by list."""
    size = shape[axis]
    for index in range(math.prod(shape[:axis])):
        yield texts[index * size : (index + 1) * size]


def _object(fields: list[str], depth: int) -> str:
    inner = f"\n{(depth + 1) * INDENT}"
    return f"{{{inner}{f',{inner}'.join(fields)}\n{depth * INDENT}}}"


def _element_texts(name: str, array: Array, depth: int) -> list[str]:
    """Every element in row-major order; byte strings of `..._bytes` outputs as base64 objects."""
    flat = array.reshape(-1)
    if not flat.size:
        return []
    if array.dtype in _FLOATS:
        return float_texts(flat)
    if array.dtype in _INTEGERS:
        return [str(value) for value in flat.tolist()]
    if array.dtype == np.bool_:
        return ["true" if value else "false" for value in flat.tolist()]
    if array.dtype != object:
        raise invalid_argument(
            f"Failed to write JSON value for tensor type: {type_string(dtype_name(array))}"
        )
    if name.endswith(_BYTES_SUFFIX):
        return [
            _object([f'"b64": "{base64.b64encode(value).decode()}"'], depth)
            for value in flat.tolist()
        ]
    return [quoted(value.decode("utf-8", "surrogateescape")) for value in flat.tolist()]
