"""One version that answers, wherever it is: on disk, at a model server, at a gateway.

digits:3                       below the base path; a model server is started for it
grpc://host:8500/digits:3      at a model server; digits:canary is a version label
http://host:8000               at a gateway: its default model, as it is served
http://host:8000/digits:3
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from contract.card import ModelCard
from exporter.accuracy import gateway, model_server
from exporter.accuracy.answers import Answerer
from exporter.errors import UsageError
from exporter.proof.gateway import Gateway, kind_of
from exporter.proof.model_server import connect
from exporter.settings import Settings
from exporter.store import inventory
from exporter.store.version_numbers import split_version
from protocol.models import ModelSpec

_SUBJECT: Final = re.compile(
    r"(?P<url>[a-z]+://[^/]+)?/?(?P<called>(?P<name>[^/:@]+)(?::(?P<which>[A-Za-z0-9_.-]+))?)?"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be asked, as it was written."""

    text: str
    url: str | None
    name: str | None
    version: int | None
    label: str | None = None


class VersionAnswerer(Answerer, Protocol):
    """One version that answers."""

    @property
    def model_name(self) -> str:
        """Its folder's below a base path."""
        ...

    @property
    def version(self) -> int:
        """Its number."""
        ...

    @property
    def card(self) -> ModelCard:
        """Its own."""
        ...


def parse(text: str) -> Subject:
    """Read what the command line names.

    Raises:
        UsageError: it names nothing.
    """
    match = _SUBJECT.fullmatch(text)
    if match is None or not (match["url"] or match["name"]):
        raise UsageError(f"{text!r}: write NAME:VERSION, or URL/NAME:VERSION, or a gateway's URL")
    _, version = split_version(match["called"] or "")
    label = match["which"] if version is None else None
    if label and not match["url"]:
        raise UsageError(f"{text!r}: the version is a number; labels are known to servers only")
    return Subject(text, match["url"], match["name"], version, label)


def require_known(subject: Subject, base_path: Path) -> None:
    """Look for a version on disk before anything is started for another one.

    Raises:
        UsageError: it is not there.
    """
    if subject.url is None:
        inventory.find(base_path, str(subject.name), subject.version)


@contextmanager
def answering(
    subject: Subject,
    base_path: Path,
    settings: Settings,
    *,
    api_key: str | None,
    is_asked_for_all: bool = False,
) -> Iterator[VersionAnswerer]:
    """The version, ready to be asked, until the context is left.

    Args:
        subject: the version.
        base_path: where those without a URL are.
        settings: model server, timeouts.
        api_key: for a gateway that asks for one; None: that of the settings.
        is_asked_for_all: for the probabilities of all classes, where they can be had: gateways
            tell the most probable classes only.

    Raises:
        UsageError: there is no such version.
        FailedError: it has no card, or nobody answers.
    """
    timeout_seconds = settings.request_timeout_seconds
    if subject.url is None:
        found = inventory.find(base_path, str(subject.name), subject.version)
        with model_server.served(found, settings, is_asked_for_all=is_asked_for_all) as version:
            yield version
    elif kind_of(subject.url) == "gateway":
        key = api_key or settings.gateway_api_key
        with Gateway(subject.url, api_key=key, timeout_seconds=timeout_seconds) as client:
            yield gateway.ask_for(client, subject.name, subject.version, subject.label)
    else:
        if subject.name is None:
            raise UsageError(f"{subject.text}: which model? write {subject.url}/NAME")
        spec = ModelSpec(subject.name, subject.version, subject.label)
        with connect(subject.url, timeout_seconds) as server:
            yield model_server.ask_for(server, spec, is_asked_for_all=is_asked_for_all)
