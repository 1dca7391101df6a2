"""What the words after `serve` are: files, folders, names."""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sightserve.serve.errors import TargetError

Kind = Literal["published", "digits", "application", "keras", "saved-model", "onnx", "torch"]

DIGITS: Final = "digits"
_KINDS: Final[dict[str, Kind]] = {
    ".keras": "keras", ".h5": "keras", ".hdf5": "keras", ".onnx": "onnx", ".pt2": "torch"
}  # fmt: skip
_PHOTOS: Final = "; a folder of photos for each class becomes a model with: sightserve train"
_SAVED_MODEL_FILES: Final = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Target:
    """One model to serve."""

    kind: Kind
    name: str
    """What it is called in requests."""
    base_path: Path
    """The folder of models in which it is published, or will be."""
    source: str = ""
    """What is published: a path, or an application's name."""


def find(text: str, models: Path) -> list[Target]:
    """The models that a word stands for.

    A published model's name comes first, then a file, then a folder with a model in it, then
    `digits` and Keras' applications, in any capitals.

    Raises:
        TargetError: it stands for none.
    """
    path = Path(text)
    is_word = path.name == text
    if is_word and (reason := _unservable(models / text)):
        raise TargetError(reason)
    if is_word and _published(models / text):
        return [Target("published", text, models)]
    if path.is_file():
        return [_file(path, models)]
    if path.is_dir():
        return _folder(path, models, is_word=is_word)
    if "/" in text or "\\" in text or path.suffix.lower() in _KINDS:
        raise TargetError(f"{text}: there is no such file or folder")
    return [_named(text, models)]


def all_published(models: Path) -> list[Target]:
    """Every model below a folder, by name."""
    if not models.is_dir():
        return []
    names = sorted(each.name for each in models.iterdir() if _published(each))
    return [Target("published", name, models) for name in names]


def _published(path: Path) -> bool:
    """Whether a model server would load the newest version of it."""
    return _newest(path) is not None and not _unservable(path)


def _unservable(path: Path) -> str:
    """Why nothing of a folder of versions can be served; empty if that is not so."""
    newest = _newest(path)
    if newest is None or any((newest / name).is_file() for name in _SAVED_MODEL_FILES):
        return ""
    return f"{newest}: no saved_model.pb in it, so this is no version of a published model{_PHOTOS}"


def _newest(path: Path) -> Path | None:
    """The version that a model server would serve."""
    from exporter.store.version_numbers import version_path, versions  # noqa: PLC0415 - of an extra

    if path.name in {"", ".", ".."} or not (numbers := versions(path)):
        return None
    return version_path(path, numbers[-1])


def _file(path: Path, models: Path) -> Target:
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise TargetError(
            f"{path}: not a model; files end in .keras, .h5, .onnx or .pt2, and a SavedModel is "
            "a folder"
        )
    return Target(kind, name_of(path), models, str(path))


def _folder(path: Path, models: Path, *, is_word: bool) -> list[Target]:
    if any((path / name).is_file() for name in _SAVED_MODEL_FILES):
        return [Target("saved-model", name_of(path), models, str(path))]
    if _published(path):
        whole = path.resolve()
        return [Target("published", whole.name, whole.parent)]
    if found := all_published(path):
        return found
    if is_word:  # `digits` is the model even beside a folder of that name, such as one of photos
        with suppress(TargetError):
            return [_named(path.name, models)]
    raise TargetError(
        _unservable(path)
        or f"{path}: no model in this folder; a SavedModel has saved_model.pb, a published model "
        f"folders named 1, 2, 3 …{_PHOTOS}"
    )


def _named(text: str, models: Path) -> Target:
    from exporter.errors import UsageError  # noqa: PLC0415 - of an extra
    from exporter.sources.application_names import spelled  # noqa: PLC0415

    if text.lower() == DIGITS:
        return Target("digits", DIGITS, models, DIGITS)
    try:
        application = spelled(text)
    except UsageError as error:
        here = [each.name for each in all_published(models)]
        close = difflib.get_close_matches(text, here)
        also = f"; published in {models}: {', '.join(close)}" if close else ""
        raise TargetError(
            f"{text}: no file, no published model, no Keras application ({error}){also}"
        ) from None
    return Target("application", application.lower(), models, application)


def name_of(path: Path) -> str:
    """A model's name from its file's: letters, digits, `_`, `.` and `-` stay, capitals too."""
    stem = path.stem if path.is_file() else path.resolve().name
    return _NOT_IN_NAMES.sub("-", stem).strip("-.") or "model"
