"""What lies below the base path, read from the files beside each version; TensorFlow-free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from contract.card import ModelCard
from exporter.errors import FailedError, UsageError
from exporter.store.version_numbers import version_path, versions

CARD_FILE: Final = Path("assets.extra") / "model_card.json"
"""A copy of the card in the graph, for readers without TensorFlow."""


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """One version on disk."""

    model_name: str
    version: int
    path: Path
    size_bytes: int
    card: ModelCard | None
    """None: not exported by us, or its card is damaged."""


def scan(base_path: Path) -> Iterator[PublishedVersion]:
    """Every version of every model, by name, highest version first."""
    if not base_path.is_dir():
        return
    for model_path in sorted(path for path in base_path.iterdir() if path.is_dir()):
        for version in reversed(versions(model_path)):
            yield find(base_path, model_path.name, version)


def find(base_path: Path, model_name: str, version: int | None = None) -> PublishedVersion:
    """One version; None: the highest.

    Raises:
        UsageError: there is no such model or version.
    """
    model_path = base_path / model_name
    existing = versions(model_path)
    if not existing:
        raise UsageError(f"there is no version of {model_name!r} below {base_path}")
    number = existing[-1] if version is None else version
    path = version_path(model_path, number)
    if path is None:
        listed = ", ".join(map(str, existing))
        raise UsageError(f"{model_name} has no version {number}; there are: {listed}")
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return PublishedVersion(model_name, number, path, size, _read_card(path))


def write_card(path: Path, card: ModelCard) -> None:
    """Put the copy beside a staged version."""
    file = path / CARD_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_card(path: Path) -> ModelCard:
    """The card of a version's folder.

    Raises:
        FailedError: it has none, or it is damaged.
    """
    try:
        return ModelCard.model_validate_json((path / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise FailedError(f"{path}: no readable model card in it") from error


def _read_card(path: Path) -> ModelCard | None:
    try:
        return read_card(path)
    except FailedError:
        return None
