"""What `benchmark` and `compare` are pointed at, told from a word; needs no TensorFlow.

NAME, NAME:VERSION          published below the base path; the highest version
FILE.keras, FILE.h5, DIR    a Keras file, a SavedModel folder
MobileNetV2                 a Keras application
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from exporter.errors import UsageError
from exporter.store import inventory
from exporter.store.inventory import PublishedVersion
from exporter.store.version_numbers import versions

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
    """
    name, colon, number = text.rpartition(":")
    model_name = name if colon and number.isdecimal() else text
    if "/" not in model_name and model_name and versions(base_path / model_name):
        version = int(number) if model_name != text else None
        found = inventory.find(base_path, model_name, version)
        return Target(text, "published", found.path, found)
    path = Path(text)
    if path.suffix in _KERAS_SUFFIXES:
        if not path.is_file():
            raise UsageError(f"{text}: there is no such file")
        return Target(text, "keras", path)
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise UsageError(f"{text}: there is no saved_model.pb in this folder")
        return Target(text, "saved_model", path)
    if text.isidentifier():
        return Target(text, "application", None)
    raise UsageError(
        f"{text!r} is neither a model below {base_path} (NAME or NAME:VERSION), nor a file or "
        "folder, nor a Keras application"
    )
