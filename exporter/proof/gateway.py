"""A gateway as its clients see it: over HTTP, files in, labels out; and how one is recognised."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError

from contract.card import ModelCard
from contract.pixels import ImageError
from exporter.errors import FailedError, RefusedError, UsageError

Kind = Literal["gateway", "model server"]

_GREY_PIXEL: Final = (
    b"BM:\0\0\0\0\0\0\x006\0\0\0(\0\0\0\1\0\0\0\1\0\0\0\1\0\x18" + bytes(25) + b"\x7f\x7f\x7f\0"
)
"""A BMP file."""
_STATUS_OF_NOTHING: Final = "/v1/models/-"
"""TensorFlow Serving answers {"error": ...} about a model that it does not have."""
_PROBE_SECONDS: Final = 5.0
_ATTEMPTS: Final = 8
"""At a gateway that asks to come back later (429, 503)."""
_MAX_PAUSE_SECONDS: Final = 10.0
_BUSY: Final = frozenset({429, 503})
_UNREADABLE: Final = frozenset(
    f"/problems/{slug}"
    for slug in ("invalid-image", "image-too-costly", "image-too-large", "payload-too-large")
)
_OK: Final = 200
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class of an answer."""

    class_index: int
    label: str | None
    id: str | None
    probability: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a gateway says about one image."""

    model_name: str
    version: int
    predictions: tuple[Prediction, ...]


class UnreadableImageError(ImageError):
    """The gateway does not take this file as an image."""


def kind_of(url: str) -> Kind:
    """Which of ours answers at a URL.

    Raises:
        UsageError: it is no URL of either.
        FailedError: nobody answers, or somebody else does.
    """
    parts = urlsplit(url)
    if parts.scheme in {"grpc", "grpcs"}:
        return "model server"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{url}: write http://host:8000, http://host:8501 or grpc://host:8500")
    try:
        with _client(url, _PROBE_SECONDS) as client:
            response = client.get("/livez")
            if response.status_code == _OK and _json(response) == {"status": "alive"}:
                return "gateway"
            status = _json(client.get(_STATUS_OF_NOTHING))
    except httpx.HTTPError as error:
        raise FailedError(f"nobody answers at {url}: {_reason(error)}") from error
    if isinstance(status, dict) and set(status) == {"error"}:
        return "model server"
    content_type = response.headers.get("content-type", "no content type")
    raise FailedError(
        f"{url} is neither a gateway nor a model server: GET /livez gives {response.status_code}, "
        f"{content_type}"
    )


class Gateway:
    """A client of one gateway, for several threads; a context manager."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str,
        timeout_seconds: float,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"X-API-Key": api_key} if api_key else {}
        self.url = url
        self._client = _client(url, timeout_seconds, headers, transport)

    def default_model(self) -> str:
        """The model that answers requests which name none.

        Raises:
            UsageError: there is none.
            FailedError: the gateway does not answer.
        """
        for model in self._list("/models", "models"):
            if model.get("is_default"):
                return str(model["name"])
        raise UsageError(f"{self.url} has no default model: say which")

    def card(self, name: str, version: int | None = None) -> tuple[int, ModelCard]:
        """A version (None: the highest that is served) and its card.

        Raises:
            UsageError: it is not served.
            FailedError: it has no card, or the gateway does not answer.
        """
        served = {
            int(each["version"]): each
            for each in self._list(f"/models/{quote(name, safe='')}", "versions")
            if each.get("state") == "AVAILABLE"
        }
        number = max(served, default=None) if version is None else version
        if number is None or number not in served:
            listed = ", ".join(map(str, sorted(served))) or "none"
            raise UsageError(f"{self.url} serves no such version of {name}; available: {listed}")
        try:
            return number, ModelCard.model_validate(served[number]["card"])
        except (KeyError, ValidationError) as error:
            reason = served[number].get("error", "was it exported by us?")
            raise FailedError(f"{name} version {number} has no model card: {reason}") from error

    def version_of(self, name: str, label: str) -> int:
        """The version that a label stands for: whoever answers a picture of one grey pixel.

        Raises:
            FailedError: nobody does.
        """
        try:
            return self.classify(_GREY_PIXEL, model=name, version_label=label).version
        except UnreadableImageError as error:
            raise FailedError(f"label {label} of {name}: {error}") from error

    def classify(self, data: bytes, **parameters: Any) -> Answer:
        """Ask about one file by `POST /classify`.

        Raises:
            UnreadableImageError: the gateway cannot read the file.
            FailedError: it does not answer.
        """
        headers = {"Content-Type": "application/octet-stream"}
        body = self._ask(
            "POST", "/classify", params=_given(parameters), content=data, headers=headers
        )
        return _answer(body)

    def classify_batch(self, files: Sequence[bytes], **parameters: Any) -> list[Answer]:
        """Ask about several by `POST /classify/batch`; answers in order.

        Raises:
            FailedError: it does not answer all of them.
        """
        named = [("files", (str(index), data)) for index, data in enumerate(files)]
        body = self._ask("POST", "/classify/batch", params=_given(parameters), files=named)
        try:
            results = body["results"]
            if problems := [each["problem"] for each in results if "problem" in each]:
                raise FailedError(f"POST /classify/batch: {_detail(problems[0])}")
            if [each["file"] for each in results] != [name for _, (name, _) in named]:
                raise RefusedError("POST /classify/batch mixes its files up", step="gateway")
        except (KeyError, TypeError) as error:
            raise FailedError("POST /classify/batch: no answer of a gateway") from error
        return [_answer(each) for each in results]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()

    def _list(self, path: str, member: str) -> list[dict[str, Any]]:
        found = self._ask("GET", path).get(member)
        if not isinstance(found, list):
            raise FailedError(f"{self.url} answers no {member} to {path}: is it a gateway?")
        return found

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        response = self._send(method, path, content)
        for attempt in range(1, _ATTEMPTS):
            if response.status_code not in _BUSY:
                break
            time.sleep(_pause_seconds(response, attempt))
            response = self._send(method, path, content)
        body = _json(response)
        if response.status_code == _OK and isinstance(body, dict):
            return body
        if response.status_code == _UNAUTHORIZED:
            raise FailedError(
                f"{self.url} asks for an API key, or for another one: EXPORTER_GATEWAY_API_KEY or "
                "--api-key"
            )
        if isinstance(body, dict) and body.get("type") in _UNREADABLE:
            raise UnreadableImageError(_detail(body))
        raise FailedError(f"{method} {path}: {response.status_code}, {_detail(body)}")

    def _send(self, method: str, path: str, content: dict[str, Any]) -> httpx.Response:
        try:
            return self._client.request(method, path, **content)
        except httpx.HTTPError as error:
            raise FailedError(
                f"{self.url} does not answer {method} {path}: {_reason(error)}"
            ) from error


def _client(
    url: str,
    timeout_seconds: float,
    headers: dict[str, str] | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    try:
        return httpx.Client(
            base_url=url,
            timeout=timeout_seconds,
            headers=headers,
            transport=transport,
            trust_env=False,
        )
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageError(f"{url}: {error}") from error


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _pause_seconds(response: httpx.Response, attempt: int) -> float:
    asked = response.headers.get("retry-after", "")
    return min(float(asked) if asked.isdigit() else 0.2 * 2**attempt, _MAX_PAUSE_SECONDS)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _detail(problem: Any) -> str:
    if not isinstance(problem, dict):
        return "without a problem in it"
    return str(problem.get("detail") or problem.get("title") or "without saying why")


def _answer(body: Any) -> Answer:
    try:
        model = body["model"]
        predictions = tuple(
            Prediction(int(each["class_index"]), each["label"], each["id"], each["probability"])
            for each in body["predictions"]
        )
        return Answer(str(model["name"]), int(model["version"]), predictions)
    except (KeyError, TypeError, ValueError) as error:
        raise FailedError("the answer is no gateway's") from error
