"""Ask one version about image files, wherever it is: on disk, at a model server, at a gateway.

digits:3                       below the base path; a model server is started for it
grpc://host:8500/digits:3      at a model server; digits:canary is a version label
http://host:8000               at a gateway: its default model, as it is served
http://host:8000/digits:3
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from contract import signatures as names
from contract.card import ModelCard
from contract.pixels import ImageError, decode
from exporter.errors import FailedError, UsageError, first_line
from exporter.proof.gateway import Gateway, UnreadableImageError, kind_of
from exporter.proof.model_server_process import command_of, running_model_server
from exporter.settings import Settings
from exporter.store import inventory
from protocol.blocking import BlockingClient
from protocol.client import ProtocolError
from protocol.models import ModelSpec

Row = npt.NDArray[np.float32]
"""Probabilities [C] in order of class index; NaN where they were not told."""

_SUBJECT: Final = re.compile(
    r"(?P<url>[a-z]+://[^/]+)?/?(?:(?P<name>[^/:@]+)(?::(?P<which>[A-Za-z0-9_.-]+))?)?"
)
_BATCH: Final = 16
_STAGED_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be asked, as it was written."""

    text: str
    url: str | None
    name: str | None
    version: int | None
    label: str | None


class Respondent(Protocol):
    """One version that answers."""

    name: str
    version: int
    card: ModelCard

    def rows(self, files: Iterable[bytes]) -> Iterator[Row | None]:
        """The answer to each file, in order; None: the file is no image.

        Raises:
            FailedError: it does not answer.
        """
        ...


def parse(text: str) -> Subject:
    """Read what the command line names.

    Raises:
        UsageError: it names nothing.
    """
    match = _SUBJECT.fullmatch(text)
    if match is None or not (match["url"] or match["name"]):
        raise UsageError(f"{text!r}: write NAME:VERSION, or URL/NAME:VERSION, or a gateway's URL")
    which = match["which"]
    is_number = which is not None and which.isascii() and which.isdigit()
    if which and not is_number and not match["url"]:
        raise UsageError(f"{text!r}: the version is a number; labels are known to servers only")
    version = int(which) if which and is_number else None
    return Subject(text, match["url"], match["name"], version, None if is_number else which)


def require_known(subject: Subject, base_path: Path) -> None:
    """Look for a version on disk before anything is started for another one.

    Raises:
        UsageError: it is not there.
    """
    if subject.url is None:
        inventory.find(base_path, str(subject.name), subject.version)


@contextmanager
def respondent(
    subject: Subject, base_path: Path, settings: Settings, *, api_key: str
) -> Iterator[Respondent]:
    """The version, ready to be asked, until the context is left.

    Raises:
        UsageError: there is no such version.
        FailedError: it has no card, or nobody answers.
    """
    if subject.url is None:
        with _from_disk(subject, base_path, settings) as found:
            yield found
    elif kind_of(subject.url) == "gateway":
        timeout_seconds = settings.request_timeout_seconds
        with Gateway(subject.url, api_key=api_key, timeout_seconds=timeout_seconds) as gateway:
            yield _AtGateway(gateway, subject)
    else:
        if subject.name is None:
            raise UsageError(f"{subject.text}: which model? write {subject.url}/NAME")
        spec = ModelSpec(subject.name, subject.version, subject.label)
        with _connect(subject.url, settings) as client:
            yield _AtModelServer(client, spec)


class _AtModelServer:
    def __init__(
        self, client: BlockingClient, spec: ModelSpec, *, version: int | None = None
    ) -> None:
        self.name = spec.name
        self._client = client
        try:
            served = client.metadata(spec).version
            self._pinned = ModelSpec(spec.name, served)
            self.card = self._read_card()
        except ProtocolError as error:
            raise FailedError(f"the model server, {spec}: {first_line(error)}") from error
        self.version = served if version is None else version

    def rows(self, files: Iterable[bytes]) -> Iterator[Row | None]:
        remaining = iter(files)
        while batch := list(islice(remaining, _BATCH)):
            pixels = [self._pixels(data) for data in batch]
            readable = [each for each in pixels if each is not None]
            answers = iter(self._ask(readable) if readable else ())
            yield from (None if each is None else next(answers) for each in pixels)

    def _pixels(self, data: bytes) -> npt.NDArray[np.uint8] | None:
        try:
            return decode(data, self.card.image)
        except ImageError:
            return None

    def _ask(self, pixels: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        try:
            outputs = self._client.predict(self._pinned, names.IMAGES, np.stack(pixels)).outputs
        except ProtocolError as error:
            raise FailedError(f"the model server, {self._pinned}: {first_line(error)}") from error
        # REST leaves the name of a single output out.
        rows = outputs.get(names.PROBABILITIES, outputs.get(""))
        if rows is None or rows.shape != (len(pixels), len(self.card.classes)):
            raise FailedError(f"the model server, {self._pinned}: no probabilities in its answer")
        return rows.astype(np.float32)

    def _read_card(self) -> ModelCard:
        spec = ModelSpec(self._pinned.name, self._pinned.version, signature_name=names.MODEL_CARD)
        outputs = self._client.predict(spec, names.QUERY, np.zeros(1, np.int32)).outputs
        try:
            texts = outputs.get(names.CARD, outputs.get(""))
            return ModelCard.model_validate_json(texts[0] if texts is not None else b"")
        except (ValueError, IndexError) as error:
            raise FailedError(f"{self._pinned} has no model card that can be read") from error


class _AtGateway:
    def __init__(self, gateway: Gateway, subject: Subject) -> None:
        self.name = subject.name or gateway.default_model()
        self._gateway = gateway
        number = subject.version
        if subject.label is not None:
            number = gateway.version_of(self.name, subject.label)
        self.version, self.card = gateway.card(self.name, number)

    def rows(self, files: Iterable[bytes]) -> Iterator[Row | None]:
        for data in files:
            yield self._row(data)

    def _row(self, data: bytes) -> Row | None:
        if not data:
            return None  # to a gateway a request without an image is another mistake
        try:
            answer = self._gateway.classify(
                data, model=self.name, version=self.version, top_k=self.card.k
            )
        except UnreadableImageError:
            return None
        row = np.full(len(self.card.classes), np.nan, np.float32)
        for each in answer.predictions:
            row[each.class_index] = each.probability
        return row


@contextmanager
def _from_disk(subject: Subject, base_path: Path, settings: Settings) -> Iterator[Respondent]:
    found = inventory.find(base_path, str(subject.name), subject.version)
    if found.card is None:
        raise FailedError(f"{found.path}: no model card in it; export it again")
    with tempfile.TemporaryDirectory(prefix="sightserve-") as folder:
        # A base path with this version only, under the one number that nobody minds.
        (Path(folder) / str(_STAGED_VERSION)).symlink_to(found.path.resolve())
        with (
            running_model_server(
                command_of(settings.model_server),
                Path(folder),
                found.model_name,
                start_timeout_seconds=settings.model_server_start_timeout_seconds,
            ) as endpoints,
            _connect(endpoints.grpc_url, settings) as client,
        ):
            spec = ModelSpec(found.model_name, _STAGED_VERSION)
            yield _AtModelServer(client, spec, version=found.version)


def _connect(url: str, settings: Settings) -> BlockingClient:
    try:
        return BlockingClient(url, timeout_seconds=settings.request_timeout_seconds)
    except ValueError as error:
        raise UsageError(str(error)) from error
