"""One model server over its REST API, in the columnar format: {"inputs": {name: [rows]}}.

Answers over REST do not name their version: they are of the version that was asked for.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote

import httpx
import numpy as np
from google.protobuf import json_format

from protocol.client import AnswerError, Array, CallError, Headers, Input, Prediction
from protocol.codes import Code, code_of_http_status
from protocol.http_connections import HttpConnections, Trace
from protocol.messages import model_pb2
from protocol.models import Metadata, ModelSpec, VersionStatus
from protocol.rows import RowEncoding
from protocol.tls import Tls
from protocol.wire import SIGNATURE_DEF, read_signatures, read_statuses

_OK: Final = 200
_MAX_CONNECTIONS: Final = 64
_MAX_VERSION: Final = 1 << 63
_MAX_ANSWER_BYTES: Final = 16 << 20
"""128 rows of 1000 scores are 3 MB of JSON, a card of 21,000 classes is 2 MB. To parse it holds
up the event loop, so it is no larger than needed."""
_MAX_WORDS: Final = 1000
"""Characters of an error's message that are kept."""
_UNREADABLE: Final = (
    ArithmeticError,  # an infinite version
    AttributeError,
    LookupError,
    RecursionError,  # brackets in brackets
    TypeError,
    ValueError,
)
"""What reading a document can raise that is not what it should be."""


class RestClient:
    """Keep-alive connections to one `host:port`; implements `Client`."""

    reports_version = False
    prefers_strings = True
    row_encoding: RowEncoding = "json"

    def __init__(self, address: str, tls: Tls | None = None) -> None:
        # For plain HTTP no certificates are needed: reading them takes 50 ms and 5 MB.
        self._client = httpx.AsyncClient(
            base_url=f"http://{address}" if tls is None else f"https://{address}",
            verify=False if tls is None else tls.context,
            # Nothing compressed is asked for: a few bytes would be gigabytes.
            headers={"Accept-Encoding": "identity", **_named(address, tls)},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # keep none
            trust_env=False,  # the model server is a neighbour, not behind a proxy
            limits=httpx.Limits(max_connections=_MAX_CONNECTIONS),
        )
        self._connections = HttpConnections()
        name = tls.server_name if tls else ""
        self._extensions = {"sni_hostname": name} if name else {}  # what is verified, too

    @property
    def connections(self) -> int:
        """See `Client.connections`."""
        return self._connections.count

    async def predict(
        self,
        spec: ModelSpec,
        tensor: Input,
        *,
        outputs: Sequence[str] = (),
        timeout_seconds: float,
        headers: Headers = (),
    ) -> Prediction:
        """See `Client.predict`."""
        head = json.dumps({"signature_name": spec.signature_name, "inputs": {tensor.name: []}})
        # The rows are JSON already: they go between the brackets, never through a parser.
        body = head[:-3].encode() + b",".join(tensor.rows) + b"]}}"
        path = f"{_path(spec)}:predict"
        answer = await self._call("POST", path, timeout_seconds, content=body, headers=headers)
        try:
            columns = answer["outputs"]
            if not isinstance(columns, dict):
                columns = {outputs[0] if outputs else "": columns}
            return Prediction(
                spec.version, {name: _array(values) for name, values in columns.items()}
            )
        except _UNREADABLE as error:
            raise AnswerError(f"the outputs cannot be read: {error}") from error

    async def metadata(self, spec: ModelSpec, *, timeout_seconds: float) -> Metadata:
        """See `Client.metadata`."""
        answer = await self._call("GET", f"{_path(spec)}/metadata", timeout_seconds)
        try:
            message = _parse(answer["metadata"][SIGNATURE_DEF], model_pb2.SignatureDefMap())
            version = _version(answer["model_spec"]["version"], spec)
            return Metadata(spec.name, version, read_signatures(message))
        except _UNREADABLE as error:
            raise AnswerError(f"the metadata cannot be read: {error}") from error

    async def statuses(self, name: str, *, timeout_seconds: float) -> list[VersionStatus]:
        """See `Client.statuses`."""
        answer = await self._call("GET", _path(ModelSpec(name)), timeout_seconds)
        try:
            for each in answer["model_version_status"]:
                # On the wire a number; in their JSON the name of an enum that we do not have.
                each["status"]["error_code"] = Code[each["status"]["error_code"]]
            return read_statuses(_parse(answer, model_pb2.GetModelStatusResponse()))
        except _UNREADABLE as error:
            raise AnswerError(f"the status cannot be read: {error}") from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _call(
        self,
        method: str,
        path: str,
        timeout_seconds: float,
        *,
        content: bytes | None = None,
        headers: Headers = (),
    ) -> Any:
        try:
            # Of the whole call: httpx's timeouts are of each read, and a byte is enough for them.
            with self._connections.watched() as trace:
                async with asyncio.timeout(timeout_seconds):
                    status, body = await self._exchange(method, path, content, headers, trace)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise CallError(Code.DEADLINE_EXCEEDED, type(error).__name__) from error
        except httpx.TransportError as error:
            raise CallError(Code.UNAVAILABLE, f"{type(error).__name__}: {error}") from error
        if status != _OK:
            raise CallError(code_of_http_status(status), _error_text(status, body))
        try:
            return json.loads(body)
        except _UNREADABLE as error:
            raise AnswerError("the answer is not JSON") from error

    async def _exchange(
        self, method: str, path: str, content: bytes | None, headers: Headers, trace: Trace
    ) -> tuple[int, bytes]:
        """The status and the body, as far as that may be read."""
        async with self._client.stream(
            method,
            path,
            content=content,
            timeout=None,
            extensions={**self._extensions, "trace": trace},
            headers=headers,
        ) as response:
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding.lower() != "identity":
                raise AnswerError("the answer is compressed, which nobody asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _MAX_ANSWER_BYTES:
                    raise AnswerError(f"the answer has more than {_MAX_ANSWER_BYTES} bytes")
            return response.status_code, bytes(body)


def _named(address: str, tls: Tls | None) -> dict[str, str]:
    """The Host header that proxies choose a server by, where its name is not in the address."""
    if tls is None or not tls.server_name:
        return {}
    return {"Host": f"{tls.server_name}:{address.rpartition(':')[2]}"}


def _path(spec: ModelSpec) -> str:
    path = f"/v1/models/{quote(spec.name, safe='')}"
    if spec.version is not None:
        return f"{path}/versions/{spec.version}"
    if spec.version_label is not None:
        return f"{path}/labels/{quote(spec.version_label, safe='')}"
    return path


def _parse(document: Any, message: Any) -> Any:
    """A JSON object as a message; ValueError where it does not fit."""
    try:
        return json_format.ParseDict(document, message, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error


def _version(value: Any, asked: ModelSpec) -> int:
    """The number of a version.

    Raises:
        ValueError: it is none that there is, or not the one that was asked for.
    """
    version = int(value)
    if not 0 <= version < _MAX_VERSION:
        raise ValueError(f"version {value}")
    if asked.version is not None and asked.version != version:
        raise ValueError(f"version {version} answers for version {asked.version}")
    return version


def _error_text(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])[:_MAX_WORDS]
    except _UNREADABLE:
        return f"HTTP {status}"


def _array(values: Any) -> Array:
    """Numbers as NumPy reads them; strings, plain or {"b64": ...}, as an object array of bytes.

    Raises:
        ValueError: ragged, or of neither kind.
    """
    first = values
    while isinstance(first, list) and first:
        first = first[0]
    if not isinstance(first, (str, dict)):
        numbers = np.asarray(values)
        if numbers.dtype.kind not in "biuf":
            raise ValueError(f"{type(first).__name__} is no element of a tensor")
        return numbers
    leaves = np.array(values, np.object_)  # of ragged lists it makes an array of lists
    flat = leaves.ravel()
    flat[:] = [leaf.encode() if isinstance(leaf, str) else _decoded(leaf) for leaf in flat]
    return leaves


def _decoded(leaf: Any) -> bytes:
    """The bytes of {"b64": "..."}."""
    if not isinstance(leaf, dict):
        raise ValueError(f"{type(leaf).__name__} among strings")  # noqa: TRY004 - of the answer
    return base64.b64decode(leaf["b64"], validate=True)
