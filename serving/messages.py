"""Config messages that TensorFlow Serving reads but whose Python classes it does not publish.

Built from descriptors here, so that the text files people have parse with protobuf's own parser.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory, text_format
from google.protobuf import wrappers_pb2 as _wrappers  # registers the wrapper messages

from serving.core.errors import Code, ServingError, invalid_argument

_FieldType = descriptor_pb2.FieldDescriptorProto
_INT64 = ".google.protobuf.Int64Value"
_BOOL = ".google.protobuf.BoolValue"
_STRING = ".google.protobuf.StringValue"

# session_bundle_config.proto
_BATCHING_PARAMETERS: dict[str, tuple[int, str | int]] = {
    "max_batch_size": (1, _INT64),
    "batch_timeout_micros": (2, _INT64),
    "max_enqueued_batches": (3, _INT64),
    "num_batch_threads": (4, _INT64),
    "thread_pool_name": (5, _STRING),
    "allowed_batch_sizes": (6, _FieldType.TYPE_INT64),
    "pad_variable_length_inputs": (7, _FieldType.TYPE_BOOL),
    "enable_large_batch_splitting": (8, _BOOL),
    "max_execution_batch_size": (9, _INT64),
}
# ssl_config.proto
_SSL_CONFIG: dict[str, tuple[int, str | int]] = {
    "server_key": (1, _FieldType.TYPE_STRING),
    "server_cert": (2, _FieldType.TYPE_STRING),
    "custom_ca": (3, _FieldType.TYPE_STRING),
    "client_verify": (4, _FieldType.TYPE_BOOL),
}


def batching_parameters() -> Any:
    """An empty BatchingParameters message."""
    return _new_message("BatchingParameters", _BATCHING_PARAMETERS, repeated="allowed_batch_sizes")


def ssl_config() -> Any:
    """An empty SSLConfig message."""
    return _new_message("SSLConfig", _SSL_CONFIG)


def read_text_file(path: str, into: message.Message) -> None:
    """Fill a message from a protobuf text file.

    Raises:
        ServingError: NOT_FOUND or INVALID_ARGUMENT, naming the file.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ServingError(Code.NOT_FOUND, f"{path}; No such file or directory") from None
    except (OSError, UnicodeDecodeError) as error:
        raise invalid_argument(f"{path}; {error}") from None
    if not text:
        raise invalid_argument(f"{path}; Invalid argument: the file is empty")
    try:
        text_format.Parse(text, into)
    except text_format.ParseError as error:
        raise invalid_argument(f"Invalid protobuf file: '{path}' ({error})") from None


def _new_message(name: str, layout: dict[str, tuple[int, str | int]], *, repeated: str = "") -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_wrappers.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name=f"sightserve/{name}.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[_wrappers.DESCRIPTOR.name],
    )
    described = file.message_type.add(name=name)
    for field_name, (number, kind) in layout.items():
        label = _FieldType.LABEL_REPEATED if field_name == repeated else _FieldType.LABEL_OPTIONAL
        item = described.field.add(name=field_name, number=number, label=label)
        if isinstance(kind, str):
            item.type, item.type_name = _FieldType.TYPE_MESSAGE, kind
        else:
            item.type = _FieldType.Type.ValueType(kind)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"tensorflow.serving.{name}")
    )()
