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

from exporter.accuracy import model_server
from exporter.accuracy.answers import Answerer
from exporter.accuracy.versions import Subject, answering
from exporter.errors import UsageError
from exporter.measure.targets import Target as Found
from exporter.measure.targets import find_target
from exporter.options import SourceChoices
from exporter.progress import Reporter
from exporter.proof.gateway import kind_of
from exporter.settings import Settings
from exporter.store import inventory
from exporter.store.inventory import PublishedVersion


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
    found = None if "://" in target.text else find_target(target.text, target.base_path)
    is_source = found is not None and found.kind in {"keras", "saved_model"}
    if not is_source and not target.choices.is_empty:
        raise UsageError(
            f"{target.text} knows its labels and pixels itself: --labels, --preprocess, "
            "--activation, --image-size, --fit, --crop-fraction, --filter, --signature, --input "
            "and --output go with a source"
        )
    if found is None:
        with _running(target, settings) as answerer:
            yield answerer
    elif is_source:
        # TensorFlow, which the others do not need in this process.
        from exporter.source_answers import load  # noqa: PLC0415

        yield load(Path(target.text), target.choices, settings, report)
    else:
        with model_server.served(_published(target, found), settings) as version:
            yield version


@contextmanager
def _running(target: Target, settings: Settings) -> Iterator[Answerer]:
    if target.model_name is None and kind_of(target.text) == "model server":
        raise UsageError(f"{target.text} is a model server: say which model with --model")
    subject = Subject(target.text, target.text, target.model_name, target.version)
    with answering(subject, target.base_path, settings, api_key=target.api_key) as answerer:
        yield answerer


def _published(target: Target, found: Found) -> PublishedVersion:
    published = found.published
    if published is None:  # what could be an application, which `evaluate` does not take
        return inventory.find(target.base_path, target.text, target.version)
    if target.version in {None, published.version}:
        return published
    if target.text != published.model_name:
        raise UsageError(f"{target.text} and --version {target.version} contradict each other")
    return inventory.find(target.base_path, target.text, target.version)
