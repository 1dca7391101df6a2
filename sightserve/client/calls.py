"""What is asked and how an answer is taken, without a socket: both clients stand on this.

A `Caller` knows the gateway and makes httpx's requests; a `Call` is one question with its reader.
"""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import httpx

from sightserve.client import answers
from sightserve.client.errors import (
    AnswerCutError,
    AnswerTimeoutError,
    CannotConnectError,
    InvalidImageError,
    SightserveError,
    TransportError,
)
from sightserve.client.formats import advice
from sightserve.client.problems import error_of, not_a_gateway
from sightserve.client.results import (
    Classification,
    Readiness,
    ServedModel,
    Stats,
)

DEFAULT_URL: Final = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT_SECONDS: Final = 30.0
MAX_TIMEOUT_SECONDS: Final = 86_400.0
MAX_ANSWER_BYTES: Final = 64 << 20
GRACE_SECONDS: Final = 1.0
"""The socket waits this much longer than the gateway, whose answer says more than silence."""
_OK: Final = 200
_TLS_WORDS: Final = ("SSL", "CERTIFICATE", "certificate")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Call(Generic[_T]):
    """One question."""

    method: str
    path: str
    read: Callable[[Any], _T]
    """JSON to the result; raises `answers.MALFORMED`."""
    params: tuple[tuple[str, str], ...] = ()
    content: bytes = b""


def classify_call(data: bytes, **options: object) -> Call[Classification]:
    """`POST /classify`; options that are None are the gateway's."""
    params = tuple((name, str(value)) for name, value in options.items() if value is not None)
    return Call("POST", "/classify", answers.classification, params, data)


def models_call() -> Call[tuple[ServedModel, ...]]:
    """`GET /models`."""
    return Call("GET", "/models", answers.models)


def model_call(name: str) -> Call[ServedModel]:
    """`GET /models/{name}`."""
    return Call("GET", f"/models/{quote(name, safe='')}", answers.model)


def ready_call() -> Call[Readiness]:
    """`GET /readyz`."""
    return Call("GET", "/readyz", answers.ready)


def stats_call() -> Call[Stats]:
    """`GET /stats`."""
    return Call("GET", "/stats", answers.stats)


class Caller:
    """The gateway's URL and the key; makes requests of calls and results of answers."""

    def __init__(self, url: str | None, api_key: str | None, timeout: float) -> None:
        self.url = _checked_url(url or os.environ.get("SIGHTSERVE_URL") or DEFAULT_URL)
        self.timeout = checked_timeout(timeout)
        self._headers = [
            ("Host", self.url.netloc.decode("ascii")),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "sightserve"),
        ]
        key = api_key if api_key is not None else os.environ.get("SIGHTSERVE_API_KEY")
        if key:
            if not (key.isascii() and key.isprintable()):
                raise ValueError("the API key has characters that no key has: line ends, say")
            self._headers.append(("Authorization", f"Bearer {key}"))
        self._target = lru_cache(maxsize=64)(self._make_target)

    def __str__(self) -> str:
        return str(self.url).rstrip("/")

    def request(self, call: Call[Any], request_id: str, seconds: float) -> httpx.Request:
        """The request of one attempt, which has so many seconds."""
        headers = [
            *self._headers,
            ("X-Request-Id", request_id),
            ("X-Request-Timeout-Ms", str(max(1, int(1000 * seconds)))),
        ]
        if call.method == "POST":
            headers.append(("Content-Type", "application/octet-stream"))
        socket_seconds = max(seconds, 0.001) + GRACE_SECONDS
        return httpx.Request(
            call.method,
            self._target(call.path, call.params),
            headers=headers,
            content=call.content or None,
            extensions={"timeout": httpx.Timeout(socket_seconds).as_dict()},
        )

    def result(
        self, call: Call[_T], status: int, headers: Mapping[str, str], body: bytes, request_id: str
    ) -> _T:
        """The answer as a result.

        Raises:
            ProblemError: the gateway answered with a problem.
            UnexpectedAnswerError: it is no gateway's answer.
        """
        if status != _OK:
            error = error_of(status, headers, body, url=str(self), request_id=request_id)
            if isinstance(error, InvalidImageError):
                error.hint = advice(call.content)
            raise error
        try:
            return call.read(json.loads(body))
        except (*answers.MALFORMED, RecursionError):
            raise not_a_gateway(status, body, url=str(self), request_id=request_id) from None

    def transport_error(
        self, error: httpx.TransportError, request_id: str, *, has_answered: bool
    ) -> TransportError:
        """What httpx raised, as ours. `has_answered`: the answer's head had come."""
        if isinstance(error, httpx.TimeoutException):
            return AnswerTimeoutError(f"{self} did not answer in time", request_id=request_id)
        if isinstance(error, (httpx.ConnectError, httpx.ProxyError)):
            is_tls = any(word in str(error) for word in _TLS_WORDS)
            said = f"cannot connect to {self}: {error}"
            if is_tls and self.url.scheme == "https":
                said += " (does it speak http, not https? is its certificate trusted here?)"
            return CannotConnectError(said, request_id=request_id, is_retriable=not is_tls)
        if has_answered:
            return AnswerCutError(
                f"{self} closed the connection in the middle of its answer", request_id=request_id
            )
        return AnswerCutError(
            f"{self} closed the connection without an answer ({error}): is this the gateway's HTTP "
            "port? (a gRPC or https port answers so)",
            request_id=request_id,
            is_retriable=True,
        )

    def _make_target(self, path: str, params: tuple[tuple[str, str], ...]) -> httpx.URL:
        url = httpx.URL(str(self) + path)
        return url.copy_merge_params(params) if params else url


def new_request_id() -> str:
    """For the X-Request-Id of a call and all its attempts."""
    return secrets.token_hex(8)


def checked_timeout(seconds: float) -> float:
    """The same, if it is one.

    Raises:
        ValueError: it is none.
    """
    if not (math.isfinite(seconds) and 0 < seconds <= MAX_TIMEOUT_SECONDS):
        raise ValueError(
            f"timeout: {seconds} is not above 0 and at most {MAX_TIMEOUT_SECONDS:.0f} seconds"
        )
    return seconds


def too_long(caller: Caller, request_id: str) -> SightserveError:
    """The error of an answer that never ends."""
    return AnswerCutError(
        f"{caller} answered more than {MAX_ANSWER_BYTES >> 20} MiB", request_id=request_id
    )


def _checked_url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL as error:
        raise ValueError(f"url: {text!r} cannot be read: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"url: {text!r} is not of the form http://host:port")
    if url.userinfo:
        raise ValueError("url: a name or password in it is not used; give api_key=")
    return url.copy_with(query=None, fragment=None)
