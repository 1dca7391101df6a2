"""Which API method a request's path names, by TensorFlow Serving's two patterns.

The path is the raw target: a query string counts as part of it, and so of a model's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from protocol.models import ModelSpec
from serving.core.errors import invalid_argument

_REST = re.compile(r"(?i)/v1/.*")
_PREDICTION = re.compile(
    r"(?i)/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?:(classify|regress|predict)"
)
_STATUS = re.compile(
    r"(?i)/v1/models(?:/([^/:]+))?(?:/versions/([0-9]+)|/labels/([^/:]+))?(?:/(metadata))?"
)
_INT64_MAX = 2**63 - 1
_INT64_DIGITS = 19
_METHODS = frozenset({"predict", "classify", "regress"})


class Method(Enum):
    """What a path asks for."""

    PREDICT = "predict"
    CLASSIFY = "classify"
    REGRESS = "regress"
    METADATA = "metadata"
    STATUS = "status"


class UnreadableVersionError(Exception):
    """A version number beyond int64. The real server answers it with 400 and no body at all."""


@dataclass(frozen=True, slots=True)
class Target:
    """The method and the model of one request."""

    method: Method
    spec: ModelSpec


def is_rest(path: str) -> bool:
    """Whether the API answers for this path at all, be it with an error."""
    return _REST.fullmatch(path) is not None


def parse_target(http_method: str, path: str) -> Target:
    """The target of a request.

    Raises:
        ServingError: INVALID_ARGUMENT for a path or method that the API does not have.
        UnreadableVersionError: for a version number that does not fit.
    """
    pattern = {"POST": _PREDICTION, "GET": _STATUS}.get(http_method)
    match = pattern.fullmatch(path) if pattern else None
    malformed = invalid_argument(f"Malformed request: {http_method} {path}")
    if match is None:
        raise malformed
    name, version, label, last = match.groups()
    spec = ModelSpec(
        name=_decode(name or ""),
        version=None if version is None else _version(version),
        version_label=None if label is None else _decode(label),
    )
    if http_method == "POST":
        if last not in _METHODS:  # the patterns ignore case, the methods do not
            raise malformed
        return Target(Method(last), spec)
    if not spec.name:
        raise invalid_argument("Missing model name in request.")
    return Target(Method.METADATA if last == "metadata" else Method.STATUS, spec)


def _version(digits: str) -> int:
    if len(digits.lstrip("0")) > _INT64_DIGITS or int(digits) > _INT64_MAX:
        raise UnreadableVersionError(digits)
    return int(digits)


def _decode(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")
