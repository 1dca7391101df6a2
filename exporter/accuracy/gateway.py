"""A running gateway as an answerer: it gets the files as they are, as its clients send them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import numpy as np
from pydantic import ValidationError

from contract.card import ClassInfo, ModelCard
from contract.pixels import ImageError
from exporter.accuracy.answers import MAX_K, Answers
from exporter.errors import FailedError, UsageError

_BROKEN: Final = frozenset({400, 413, 415, 422})
"""Statuses that speak of the one picture."""
_BUSY: Final = frozenset({429, 503})
_ATTEMPTS: Final = 8
_LONGEST_WAIT_SECONDS: Final = 10.0
_ROW_BYTES: Final = 8 * MAX_K
_OK: Final = 200

Row = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Gateway:
    """One version of one model behind a gateway."""

    client: httpx.Client
    model_name: str
    version: int
    card: ModelCard

    @property
    def name(self) -> str:
        """Model, version and where."""
        return f"{self.model_name} version {self.version} at {self.client.base_url}"

    @property
    def classes(self) -> Sequence[ClassInfo]:
        """As the version's own card says."""
        return self.card.classes

    @property
    def picture_bytes(self) -> int:
        """Of a row of answers: the gateway decodes."""
        return _ROW_BYTES

    def prepare(self, data: bytes) -> Row:
        """Send the file; its classes and probabilities.

        Raises:
            ImageError: the gateway calls the file broken.
            FailedError: it does not answer, or something else.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            answer = self._post(data)
            if answer.status_code == _OK:
                return self._row(answer)
            if answer.status_code in _BROKEN:
                raise ImageError(_detail(answer))
            if answer.status_code not in _BUSY or attempt == _ATTEMPTS:
                break
            time.sleep(_wait_seconds(answer, attempt))
        raise FailedError(f"{self.name} answers {answer.status_code}: {_detail(answer)}")

    def answer(self, prepared: Sequence[Row]) -> Answers:
        """All has been answered already: put the rows together."""
        return Answers(
            np.array([[index for index, _ in row] for row in prepared], dtype=np.int32),
            np.array([[p for _, p in row] for row in prepared], dtype=np.float32),
        )

    def _row(self, answer: httpx.Response) -> Row:
        try:
            row = [
                (int(each["class_index"]), float(each["probability"]))
                for each in _object(answer)["predictions"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise FailedError(f"{answer.url} answers no predictions") from error
        if len(row) != self.card.k:
            raise FailedError(f"{answer.url} answers {len(row)} classes, asked for {self.card.k}")
        return row

    def _post(self, data: bytes) -> httpx.Response:
        query: dict[str, str | int] = {
            "top_k": self.card.k,
            "model": self.model_name,
            "version": self.version,
        }
        try:
            return self.client.post(
                "/classify",
                params=query,
                content=data,
                headers={"Content-Type": "application/octet-stream"},
            )
        except httpx.HTTPError as error:
            raise FailedError(f"{self.client.base_url}: {error or type(error).__name__}") from error


def is_gateway(client: httpx.Client) -> bool:
    """Whether a gateway listens there: a model server's port has no `/livez`.

    Raises:
        FailedError: nobody listens there.
    """
    try:
        answer = client.get("/livez")
    except httpx.HTTPError as error:
        raise FailedError(f"nobody answers at {client.base_url}: {error}") from error
    return answer.status_code == _OK and _object(answer).get("status") == "alive"


def ask_for(client: httpx.Client, model_name: str | None, version: int | None) -> Gateway:
    """The version of a model that a gateway answers for.

    Args:
        client: for the gateway's root.
        model_name: None: its default model.
        version: None: the highest available one; it is then asked for by its number, so that a
            swap or split traffic cannot mix the answers of two versions.

    Raises:
        UsageError: it has no such model or version.
        FailedError: it does not answer, or the model was not exported by us.
    """
    name = model_name or _default_model(client)
    versions = _list(client, f"/models/{name}", "versions")
    available = [each for each in versions if each.get("state") == "AVAILABLE"]
    found = [each for each in available if version in {None, each["version"]}]
    if not found:
        listed = ", ".join(str(each["version"]) for each in available) or "none"
        raise UsageError(f"{client.base_url} serves no such version of {name}; available: {listed}")
    best = max(found, key=lambda each: int(each["version"]))
    try:
        card = ModelCard.model_validate(best.get("card"))
    except ValidationError as error:
        raise FailedError(f"{name}: it has no model card; was it exported by us?") from error
    return Gateway(client, name, int(best["version"]), card)


def _default_model(client: httpx.Client) -> str:
    models = _list(client, "/models", "models")
    names = [str(each["name"]) for each in models if each.get("is_default")]
    if not names:
        raise UsageError(f"{client.base_url} has no default model: say which with --model")
    return names[0]


def _list(client: httpx.Client, path: str, member: str) -> list[dict[str, Any]]:
    try:
        answer = client.get(path)
    except httpx.HTTPError as error:
        raise FailedError(f"{client.base_url}: {error}") from error
    if answer.status_code != _OK:
        hint = "; say --api-key" if answer.status_code == httpx.codes.UNAUTHORIZED else ""
        raise FailedError(
            f"{client.base_url} answers {answer.status_code} to {path}: {_detail(answer)}{hint}"
        )
    found = _object(answer).get(member)
    if not isinstance(found, list):
        raise FailedError(f"{client.base_url} answers no {member} to {path}: is it a gateway?")
    return found


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _detail(answer: httpx.Response) -> str:
    content = _object(answer)
    return str(content.get("detail") or content.get("title") or answer.reason_phrase)


def _wait_seconds(answer: httpx.Response, attempt: int) -> float:
    asked = answer.headers.get("Retry-After", "")
    seconds = float(asked) if asked.isdigit() else 0.2 * 2**attempt
    return min(seconds, _LONGEST_WAIT_SECONDS)
