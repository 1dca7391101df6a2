"""One model server over its REST API, in the columnar format: {"inputs": {name: [rows]}}.

Answers over REST do not name their version, so callers ask for a number (`reports_version`).
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx
import numpy as np
import numpy.typing as npt

from app.errors import ModelServerError, ModelServerUnavailableError
from app.model_server.base import (
    Input,
    Metadata,
    Output,
    Prediction,
    Servable,
    Signature,
    TensorSpec,
    VersionStatus,
)
from app.model_server.failures import Code, failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.model_server.addresses import Address

# TensorFlow Serving's HTTP statuses back to the codes they were made from.
_CODES: Final = {
    400: Code.INVALID_ARGUMENT,
    404: Code.NOT_FOUND,
    412: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
_OK: Final = 200
_MAX_CONNECTIONS: Final = 64


class RestModelServer:
    """Keep-alive connections to one `http://host:port`; implements `ModelServer`."""

    reports_version = False
    prefers_strings = True

    def __init__(self, address: Address) -> None:
        self._client = httpx.AsyncClient(
            base_url=f"http://{address}",
            verify=False,  # noqa: S501 - plain HTTP; reading CA certificates takes 50 ms and 5 MB
            trust_env=False,  # the model server is a neighbour, not behind a proxy
            limits=httpx.Limits(max_connections=_MAX_CONNECTIONS),
        )

    @staticmethod
    def encode_row(row: npt.NDArray[np.generic] | bytes) -> bytes:
        """The row as JSON: base64 for a string, nested lists for numbers (3 to 15 times larger)."""
        if isinstance(row, bytes):
            return b'{"b64":"' + b64encode(row) + b'"}'
        return json.dumps(row.tolist(), separators=(",", ":")).encode()

    async def predict(
        self,
        servable: Servable,
        signature: str,
        tensor: Input,
        *,
        outputs: Sequence[str] = (),
        timeout_seconds: float,
    ) -> Prediction:
        """See `ModelServer.predict`; the servable must name a version number."""
        if servable.version is None:
            raise ModelServerError("over REST a prediction needs a version number")
        head = json.dumps({"signature_name": signature, "inputs": {tensor.name: []}})
        # The rows are JSON already: they go between the brackets, never through a parser.
        body = head[:-3].encode() + b",".join(tensor.rows) + b"]}}"
        path = f"{_path(servable)}:predict"
        answer = await self._call("POST", path, servable, timeout_seconds, content=body)
        return Prediction(servable.version, _outputs(answer, outputs))

    async def metadata(self, servable: Servable, *, timeout_seconds: float) -> Metadata:
        """See `ModelServer.metadata`."""
        answer = await self._call("GET", f"{_path(servable)}/metadata", servable, timeout_seconds)
        try:
            signatures = answer["metadata"]["signature_def"]["signature_def"]
            return Metadata(
                version=int(answer["model_spec"]["version"]),
                signatures={name: _signature(each) for name, each in signatures.items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelServerError("the model server's metadata cannot be read") from error

    async def statuses(self, name: str, *, timeout_seconds: float) -> list[VersionStatus]:
        """See `ModelServer.statuses`."""
        servable = Servable(name)
        answer = await self._call("GET", _path(servable), servable, timeout_seconds)
        try:
            return [
                VersionStatus(
                    version=int(each["version"]),
                    state=str(each["state"]),
                    error_code=str(each["status"]["error_code"]),
                    error_message=str(each["status"]["error_message"]),
                )
                for each in answer["model_version_status"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelServerError("the model server's status cannot be read") from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _call(
        self,
        method: str,
        path: str,
        servable: Servable,
        timeout_seconds: float,
        *,
        content: bytes | None = None,
    ) -> Any:
        try:
            response = await self._client.request(
                method, path, content=content, timeout=timeout_seconds
            )
        except httpx.TimeoutException as error:
            raise failure(Code.DEADLINE_EXCEEDED, type(error).__name__, servable) from error
        except httpx.TransportError as error:
            raise ModelServerUnavailableError(
                "the model server cannot be reached", reason=f"{type(error).__name__}: {error}"
            ) from error
        if response.status_code != _OK:
            code = _CODES.get(response.status_code, Code.INTERNAL)
            raise failure(code, _error_text(response), servable)
        try:
            return response.json()
        except ValueError as error:
            raise ModelServerError("the model server's answer is not JSON") from error


def _path(servable: Servable) -> str:
    path = f"/v1/models/{quote(servable.name, safe='')}"
    if servable.version is not None:
        return f"{path}/versions/{servable.version}"
    if servable.label is not None:
        return f"{path}/labels/{quote(servable.label, safe='')}"
    return path


def _error_text(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def _outputs(answer: Any, names: Sequence[str]) -> dict[str, Output]:
    """The outputs by name; a signature's single output comes without its name."""
    try:
        columns = answer["outputs"]
        if not isinstance(columns, dict):
            if len(names) != 1:
                raise ModelServerError("the model server answered one output, unnamed")
            columns = {names[0]: columns}
        return {name: _output(rows) for name, rows in columns.items()}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelServerError("the model server's outputs cannot be read") from error


def _output(rows: Any) -> Output:
    """Numbers to an array; strings, plain or {"b64": ...}, to rows of bytes."""
    first = rows[0][0] if rows and isinstance(rows[0], list) and rows[0] else rows[0]
    if isinstance(first, str):
        nested = rows if isinstance(rows[0], list) else [[row] for row in rows]
        return [[str(value).encode() for value in row] for row in nested]
    return np.asarray(rows)


def _signature(signature: dict[str, Any]) -> Signature:
    return Signature(
        inputs={name: _tensor_spec(info) for name, info in signature["inputs"].items()},
        outputs={name: _tensor_spec(info) for name, info in signature["outputs"].items()},
    )


def _tensor_spec(info: dict[str, Any]) -> TensorSpec:
    shape = info["tensor_shape"]
    if shape.get("unknown_rank"):
        return TensorSpec(dtype=str(info["dtype"]), shape=None)
    return TensorSpec(
        dtype=str(info["dtype"]), shape=tuple(int(each["size"]) for each in shape["dim"])
    )
