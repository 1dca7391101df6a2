"""Whom `evaluate` asks: a published version, a source, a model server or a gateway.

models/digits/3, digits, digits:3      a version on disk, on a model server of our own
flowers.keras, theirs/                 a source, as `export` loads it
grpc://host:8500, http://host:8501     a running model server
http://host:8000                       a running gateway
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from exporter.accuracy import gateway, model_server
from exporter.accuracy.answers import Answerer
from exporter.errors import FailedError, UsageError
from exporter.options import SourceChoices
from exporter.progress import Reporter
from exporter.settings import Settings
from exporter.store import inventory
from exporter.store.inventory import PublishedVersion
from protocol.blocking import BlockingClient

_KERAS: Final = frozenset({".keras", ".h5", ".hdf5"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be asked, not looked for yet."""

    text: str
    base_path: Path
    model_name: str | None = None
    version: int | None = None
    api_key: str | None = None
    choices: SourceChoices = field(default_factory=SourceChoices)


@contextmanager
def connected(target: Target, settings: Settings, report: Reporter) -> Iterator[Answerer]:
    """Whoever the target is, ready to answer for as long as the block runs.

    Raises:
        UsageError: there is no such target, or options do not go with it.
        FailedError: it does not answer, or cannot be loaded.
    """
    path = Path(target.text)
    is_url = "://" in target.text
    is_source = not is_url and _is_source(path)
    if not is_source and not target.choices.is_empty:
        raise UsageError(
            f"{target.text} knows its labels and pixels itself: --labels, --preprocess, "
            "--activation, --image-size, --fit, --crop-fraction, --filter, --signature, --input "
            "and --output go with a source"
        )
    if is_url:
        with _running(target, settings) as answerer:
            yield answerer
    elif is_source:
        # TensorFlow, which the others do not need in this process.
        from exporter.source_answers import load  # noqa: PLC0415

        yield load(path, target.choices, settings, report)
    else:
        with model_server.served(_published(target, path), settings) as version:
            yield version


@contextmanager
def _running(target: Target, settings: Settings) -> Iterator[Answerer]:
    parts = urlsplit(target.text)
    if parts.scheme in {"http", "https"}:
        headers = {"X-API-Key": target.api_key} if target.api_key else {}
        timeout = settings.request_timeout_seconds
        with _http_client(target.text, headers, timeout) as client:
            if gateway.is_gateway(client):
                yield gateway.ask_for(client, target.model_name, target.version)
                return
    if target.model_name is None:
        raise UsageError(f"{target.text} is a model server: say which model with --model")
    with _blocking_client(target.text, settings.request_timeout_seconds) as server:
        yield model_server.ask_for(server, target.model_name, target.version)


def _http_client(url: str, headers: dict[str, str], timeout_seconds: float) -> httpx.Client:
    try:
        return httpx.Client(base_url=url, headers=headers, timeout=timeout_seconds)
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageError(f"{url}: {error}") from error


def _blocking_client(url: str, timeout_seconds: float) -> BlockingClient:
    try:
        return BlockingClient(url, timeout_seconds=timeout_seconds)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _is_source(path: Path) -> bool:
    if path.suffix in _KERAS:
        return True
    return (path / "saved_model.pb").is_file() and not (path / inventory.CARD_FILE).is_file()


def _published(target: Target, path: Path) -> PublishedVersion:
    if (path / inventory.CARD_FILE).is_file():  # the folder of a version
        return _of_folder(path.resolve())
    name, _, number = target.text.partition(":")
    if number and not number.isdecimal():
        raise UsageError(f"{target.text}: write NAME:VERSION with a number, such as {name}:3")
    if number and target.version not in {None, int(number)}:
        raise UsageError(f"{target.text} and --version {target.version} contradict each other")
    if path.exists() and not (target.base_path / name).is_dir():
        raise UsageError(
            f"{target.text}: neither a .keras or .h5 file, nor a SavedModel, nor a published model"
        )
    version = int(number) if number else target.version
    return inventory.find(target.base_path, name, version)


def _of_folder(path: Path) -> PublishedVersion:
    try:
        return inventory.find(path.parent.parent, path.parent.name, int(path.name))
    except ValueError as error:
        raise FailedError(f"{path}: a version's folder is named by its number") from error
