"""The gRPC server: sockets, threads, TLS, and the one place where errors become status codes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from protocol.codes import Code
from serving.config_files import read_ssl_config
from serving.core.addresses import host_and_port
from serving.core.errors import ServingError, invalid_argument
from serving.grpc.services import Method

_log = logging.getLogger(__name__)

_STATUS_CODES = {Code(code.value[0]): code for code in grpc.StatusCode}
_MAX_DETAILS = 1024
_SPARE_THREADS = 2  # they answer "exhausted" while all others work
_NO_DEADLINE_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class GrpcOptions:
    """Where and how to listen. Port 0: no TCP port."""

    host: str
    port: int
    socket_path: str = ""
    max_threads: int = 8
    ssl_config_file: str = ""
    channel_arguments: str = ""
    has_health_service: bool = False


class _Router(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic only in its stub
    """Routes raw bytes, so that even parsing happens within a request's slot."""

    def __init__(self, methods: Mapping[str, Method], max_threads: int) -> None:
        self._handlers = {
            name: grpc.unary_unary_rpc_method_handler(self._guarded(method))
            for name, method in methods.items()
        }
        self._unimplemented = grpc.unary_unary_rpc_method_handler(_refuse)
        self._slots = threading.Semaphore(max_threads)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler of a method; gRPC C++ answers unknown ones without words."""
        return self._handlers.get(handler_call_details.method, self._unimplemented)

    def _guarded(self, method: Method) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def handle(body: bytes, context: grpc.ServicerContext) -> bytes:
            if not self._slots.acquire(blocking=False):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
            try:
                return _answer(method, body, context)
            except ServingError as error:
                context.abort(_STATUS_CODES[error.code], _details(error.message))
            except Exception:  # noqa: BLE001 - see below
                # The last guard: a defect of ours must not look like the client's fault.
                _log.exception("request failed")
                context.abort(grpc.StatusCode.INTERNAL, "internal error")
            finally:
                self._slots.release()

        return handle


class GrpcServer:
    """A listening server. `stop` drains."""

    def __init__(self, methods: Mapping[str, Method], options: GrpcOptions) -> None:
        """Bind, without answering yet.

        Raises:
            ServingError: UNAVAILABLE when the port is taken, INVALID_ARGUMENT for a bad option.
        """
        self._options = options
        self._server = grpc.server(
            futures.ThreadPoolExecutor(options.max_threads + _SPARE_THREADS, "grpc"),
            options=_channel_arguments(options.channel_arguments),
        )
        self._health: health.HealthServicer | None = None
        if options.has_health_service:
            self._add_health()
        self._server.add_generic_rpc_handlers([_Router(methods, options.max_threads)])
        self._bind()

    def start(self) -> None:
        """Answer requests."""
        self._server.start()

    def stop(self, grace_seconds: float) -> threading.Event:
        """Stop accepting now; the event is set when the last request in flight is done."""
        return self._server.stop(grace_seconds)

    def _add_health(self) -> None:
        # As the real server: SERVING from start to end, whatever the models do.
        self._health = health.HealthServicer()
        self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def _bind(self) -> None:
        credentials = _credentials(self._options.ssl_config_file)
        port = self._options.port
        addresses = [host_and_port(self._options.host, port)] if port else []
        if self._options.socket_path:
            addresses.append(f"unix:{self._options.socket_path}")
        for address in addresses:
            try:
                if credentials:
                    self._server.add_secure_port(address, credentials)
                else:
                    self._server.add_insecure_port(address)
            except RuntimeError as error:
                raise ServingError(Code.UNAVAILABLE, f"cannot listen on {address}") from error


def _answer(method: Method, body: bytes, context: grpc.ServicerContext) -> bytes:
    try:
        request = method.request.FromString(body)
    except DecodeError:
        raise ServingError(Code.INTERNAL, "") from None  # as gRPC C++: without words
    remaining = context.time_remaining()
    has_deadline = remaining is not None and remaining < _NO_DEADLINE_SECONDS
    response = method.answer(request, remaining if has_deadline else None)
    return response.SerializeToString()  # type: ignore[no-any-return]  # a protobuf message


def _refuse(_body: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "")


def _details(text: str) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= _MAX_DETAILS:
        return encoded.decode()
    return encoded[:_MAX_DETAILS].decode(errors="ignore") + "...TRUNCATED"


def _channel_arguments(text: str) -> Sequence[tuple[str, Any]]:
    """Flags as gRPC options; messages of any size by default, and no second server on our port."""
    arguments: dict[str, Any] = {
        "grpc.max_receive_message_length": -1,
        "grpc.max_send_message_length": -1,
        "grpc.so_reuseport": 0,
    }
    for item in filter(None, text.split(",")):
        name, separator, value = item.partition("=")
        if not separator:
            raise invalid_argument(f"grpc_channel_arguments: {item} is not name=value")
        arguments[name] = int(value) if value.removeprefix("-").isdigit() else value
    return list(arguments.items())


def _credentials(ssl_config_file: str) -> grpc.ServerCredentials | None:
    """TLS as the SSLConfig file says; None without one. Its fields hold PEM text."""
    if not ssl_config_file:
        return None
    config = read_ssl_config(ssl_config_file)
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
