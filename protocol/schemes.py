"""The client for each scheme of a model server's URL."""

from __future__ import annotations

from typing import Final, Literal

from protocol.client import Client

Scheme = Literal["grpc", "http"]
"""What is spoken, encrypted or not."""

SCHEMES: Final[dict[str, tuple[Scheme, bool]]] = {
    "grpc": ("grpc", False),
    "grpcs": ("grpc", True),
    "http": ("http", False),
    "https": ("http", True),
}
"""As URLs write it: the protocol, and whether it is encrypted."""


def client_class(scheme: Scheme) -> type[Client]:
    """The client of a protocol; only that one's library is imported (memory, start time)."""
    if scheme == "grpc":
        from protocol.grpc_client import GrpcClient  # noqa: PLC0415 - see above

        return GrpcClient
    from protocol.rest_client import RestClient  # noqa: PLC0415 - see above

    return RestClient
