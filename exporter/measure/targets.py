"""What commands are pointed at, told from a word; needs no TensorFlow.

NAME, NAME:VERSION          published below the base path; the highest version
DIR/NAME/VERSION            the folder of a version of ours, wherever it is
FILE.keras, FILE.h5, DIR    a Keras file, a SavedModel folder
MobileNetV2                 a Keras application
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from exporter.errors import FailedError, UsageError
from exporter.store import inventory
from exporter.store.inventory import PublishedVersion
from exporter.store.version_numbers import split_version, versions

TargetKind = Literal["published", "keras", "saved_model", "application"]

_KERAS_SUFFIXES: Final = {".keras", ".h5", ".hdf5"}


@dataclass(frozen=True, slots=True)
class Target:
    """One model, not loaded yet."""

    text: str
    """As it was written, which is what tables call it."""
    kind: TargetKind
    path: Path | None
    """None for an application."""
    published: PublishedVersion | None = None

    @property
    def size_bytes(self) -> int | None:
        """On disk; None for an application."""
        if self.published is not None:
            return self.published.size_bytes
        if self.path is None:
            return None
        files = [self.path] if self.path.is_file() else self.path.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())


def find_target(text: str, base_path: Path) -> Target:
    """Tell what is meant: a published model before a file before an application.

    Raises:
        UsageError: it can be none of them, or there is no such version.
        FailedError: the folder of a version is not named by its number.
    """
    name, version = split_version(text)
    if "/" not in name and name and versions(base_path / name):
        return _published(text, inventory.find(base_path, name, version))
    path = Path(text)
    if path.suffix in _KERAS_SUFFIXES:
        if not path.is_file():
            raise UsageError(f"{text}: there is no such file")
        return Target(text, "keras", path)
    if (path / inventory.CARD_FILE).is_file():
        return _published(text, _of_folder(path.resolve()))
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise UsageError(f"{text}: there is no saved_model.pb in this folder")
        return Target(text, "saved_model", path)
    if text.isidentifier():
        return Target(text, "application", None)
    raise UsageError(
        f"{text!r} is neither a model below {base_path} (NAME or NAME:VERSION), nor a .keras or "
        ".h5 file, nor a SavedModel folder, nor a Keras application"
    )


def _published(text: str, found: PublishedVersion) -> Target:
    return Target(text, "published", found.path, found)


def _of_folder(path: Path) -> PublishedVersion:
    try:
        return inventory.find(path.parent.parent, path.parent.name, int(path.name))
    except ValueError as error:
        raise FailedError(f"{path}: a version's folder is named by its number") from error
