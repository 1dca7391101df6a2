"""A PredictRequest as bytes, without a message in between.

A message copies the rows of a batch three times: into one string, into itself, and out of itself.
Here they are joined once, behind the bytes that protobuf would write before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from protocol.client import Input
from protocol.messages import inference_pb2, tensor_pb2
from protocol.models import ModelSpec
from protocol.tensors import varint, write_type
from protocol.wire import write_model_spec

_HEADS: Final = 256
"""So many are kept: of each model, version and batch size that is asked for."""
_STRING: Final = "string"


def _key(number: int) -> bytes:
    """Of a field whose value says how long it is: numbers above 15 take two bytes."""
    return varint(number << 3 | 2)


_INPUTS: Final = _key(inference_pb2.PredictRequest.INPUTS_FIELD_NUMBER)
_NAME, _TENSOR = _key(1), _key(2)
"""Of a map's entries."""
_CONTENT: Final = _key(tensor_pb2.TensorProto.TENSOR_CONTENT_FIELD_NUMBER)
_STRING_VAL: Final = _key(tensor_pb2.TensorProto.STRING_VAL_FIELD_NUMBER)


def predict_request(spec: ModelSpec, tensor: Input, outputs: Sequence[str]) -> bytes:
    """The request for one input; `outputs` are the wanted ones, empty means all.

    Raises:
        ValueError: a type that TensorProto has no field for.
    """
    values = list(_values(tensor))
    length = sum(map(len, values))
    shape = (len(tensor.rows), *tensor.row_shape)
    head = _head(spec, tuple(outputs), tensor.name, tensor.dtype, shape, length)
    return b"".join((head, *values))


def _values(tensor: Input) -> Iterable[bytes]:
    """The fields of the tensor that hold the rows."""
    if tensor.dtype == _STRING:
        return _strings(tensor.rows)
    length = sum(map(len, tensor.rows))
    return (_CONTENT + varint(length), *tensor.rows)


def _strings(rows: Iterable[bytes]) -> Iterator[bytes]:
    for row in rows:
        yield _STRING_VAL + varint(len(row))
        yield row


@lru_cache(maxsize=_HEADS)
def _head(
    spec: ModelSpec,
    outputs: tuple[str, ...],
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    values_length: int,
) -> bytes:
    """All that stands before the values, whose fields are so many bytes."""
    request = inference_pb2.PredictRequest(output_filter=outputs)
    write_model_spec(spec, request.model_spec)
    proto = tensor_pb2.TensorProto()
    write_type(dtype, shape, proto)
    tensor = proto.SerializeToString()
    text = name.encode()
    entry = _NAME + varint(len(text)) + text
    entry += _TENSOR + varint(len(tensor) + values_length) + tensor
    start = _INPUTS + varint(len(entry) + values_length)
    return bytes(request.SerializeToString()) + start + entry
