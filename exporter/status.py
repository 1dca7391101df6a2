"""What a model server says about a model's versions, over REST or gRPC."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from exporter.errors import FailedError, UsageError, first_line

_TIMEOUT_SECONDS: Final = 5.0


def states(url: str, model_name: str) -> dict[int, str]:
    """State by version, for example {2: "AVAILABLE", 1: "END"}; empty for an unknown model.

    Args:
        url: `http://host:8501` or `grpc://host:8500`.
        model_name: the model.

    Raises:
        UsageError: the URL is neither.
        FailedError: no model server answers there.
    """
    parts = urlsplit(url)
    if parts.scheme == "grpc" and parts.netloc:
        return _over_grpc(parts.netloc, model_name)
    if parts.scheme in {"http", "https"} and parts.netloc:
        return _over_rest(url.rstrip("/"), model_name)
    raise UsageError(f"{url}: write grpc://host:8500 or http://host:8501")


def _over_rest(url: str, model_name: str) -> dict[int, str]:
    try:
        answer = httpx.get(
            f"{url}/v1/models/{model_name}", timeout=_TIMEOUT_SECONDS, trust_env=False
        )
        statuses = answer.json().get("model_version_status", [])
    except (httpx.HTTPError, ValueError) as error:
        raise FailedError(f"no model server answers at {url}: {first_line(error)}") from error
    return {int(status["version"]): str(status["state"]) for status in statuses}


def _over_grpc(address: str, model_name: str) -> dict[int, str]:
    # The messages' package imports TensorFlow, which `list` over REST can do without.
    import grpc  # noqa: PLC0415
    from tensorflow_serving.apis import (  # noqa: PLC0415
        get_model_status_pb2,
        model_service_pb2_grpc,
    )

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model_name
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub: Any = model_service_pb2_grpc.ModelServiceStub(channel)
        try:
            response = stub.GetModelStatus(request, timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            status: Any = error  # a failed call is also its own status; the stubs do not say so
            if status.code() is grpc.StatusCode.NOT_FOUND:
                return {}
            raise FailedError(
                f"no model server answers at grpc://{address}: {status.details()}"
            ) from error
    return {
        each.version: get_model_status_pb2.ModelVersionStatus.State.Name(each.state)
        for each in response.model_version_status
    }
