"""The tensors of a Predict request, as gRPC and warmup records carry them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from protocol.messages import tensor_pb2
from protocol.tensors import Array, array_from_proto
from serving.core.errors import invalid_argument


class Inputs(Mapping[str, Array]):
    """Arrays by alias, parsed when asked for: checks of names come before values."""

    def __init__(self, protos: Mapping[str, tensor_pb2.TensorProto]) -> None:
        self._protos = protos

    def __getitem__(self, alias: str) -> Array:
        if alias not in self._protos:  # a protobuf map would make up an empty message
            raise KeyError(alias)
        try:
            return array_from_proto(self._protos[alias])
        except ValueError:
            raise invalid_argument(f"tensor parsing error: {alias}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._protos)

    def __len__(self) -> int:
        return len(self._protos)
