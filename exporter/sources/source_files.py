"""What can be said of a source by looking at its files: no TensorFlow, so within a moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py  # type: ignore[import-untyped]  # ships no types

from exporter.errors import UsageError
from exporter.options import IMAGENET
from exporter.sources import custom_objects, untrusted
from exporter.sources.conversion_packages import require_packages

NO_WEIGHTS: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFiles:
    """The source as the command line names it: one of three, and the weights of the first."""

    application: str | None = None
    keras_file: Path | None = None
    saved_model: Path | None = None
    onnx_file: Path | None = None
    torch_file: Path | None = None
    weights: str = IMAGENET
    custom_objects: Path | None = None
    """Python code that a Keras file is made of."""

    def default_name(self) -> str:
        """The name of the model that the source suggests."""
        if self.keras_file is not None:
            return as_name(self.keras_file.stem)
        if self.saved_model is not None:
            return name_of_saved_model(self.saved_model)
        converted = self.onnx_file or self.torch_file
        if converted is not None:
            return as_name(converted.stem)
        return str(self.application).lower()

    def require_present(self) -> None:
        """Refuse what is not there.

        Raises:
            UsageError: a file or folder is missing, or of another format.
        """
        if self.custom_objects is not None:
            custom_objects.require_file(self.custom_objects)
        if self.keras_file is not None:
            require_keras_file(self.keras_file)
        elif self.saved_model is not None:
            require_saved_model(self.saved_model)
        elif self.onnx_file is not None:
            require_packages("--onnx")
            require_file("--onnx", self.onnx_file)
        elif self.torch_file is not None:
            require_packages("--torch")
            require_file("--torch", self.torch_file)
        else:
            weights_file(self.weights)

    def require_harmless(self, max_bytes: int) -> None:
        """Refuse a Keras file that would not fit into memory, before anything reads it.

        Raises:
            RefusedError: it claims more than it holds, or than the limit.
        """
        is_other = self.saved_model or self.onnx_file or self.torch_file
        path = self.keras_file or (None if is_other else weights_file(self.weights))
        if path is not None:
            untrusted.require_harmless(path, max_bytes)

    def size_bytes(self) -> int | None:
        """Of everything that holds weights; None: they are not here yet, or random."""
        path = (
            self.keras_file
            or self.saved_model
            or self.onnx_file
            or self.torch_file
            or weights_file(self.weights)
        )
        if path is None:
            return None
        files = [path] if path.is_file() else path.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())


def require_file(option: str, path: Path) -> None:
    """Refuse what is not there.

    Raises:
        UsageError: there is no such file.
    """
    if not path.is_file():
        raise UsageError(f"{option} {path}: there is no such file")


def require_keras_file(path: Path) -> None:
    """Refuse what is no whole model of Keras.

    Raises:
        UsageError: it is missing, of another format, or holds weights only.
    """
    if not path.is_file():
        raise UsageError(f"--keras {path}: there is no such file")
    if path.suffix not in {".keras", ".h5", ".hdf5"}:
        raise UsageError(
            f"--keras {path}: Keras files end in .keras or .h5; "
            "other formats: --onnx FILE, --torch FILE.pt2, --saved-model DIR"
        )
    if _holds_weights_only(path):
        raise UsageError(
            f"--keras {path}: the file holds weights without a model; "
            "use --application NAME --weights FILE, or save the whole model"
        )


def require_saved_model(path: Path) -> None:
    """Refuse a folder that is no SavedModel.

    Raises:
        UsageError: there is no graph in it.
    """
    if not (path / "saved_model.pb").is_file():
        raise UsageError(f"--saved-model {path}: there is no saved_model.pb in it")


def weights_file(weights: str) -> Path | None:
    """The file that `--weights` names; None for one of its two words.

    Raises:
        UsageError: it names neither.
    """
    if weights in {IMAGENET, NO_WEIGHTS}:
        return None
    path = Path(weights)
    if not path.is_file():
        raise UsageError(f"--weights {weights}: neither imagenet, nor none, nor an existing file")
    return path


def name_of_saved_model(path: Path) -> str:
    """The folder's name; `theirs/3` is version 3 of theirs."""
    folder = path.resolve()
    return as_name(folder.parent.name if folder.name.isdecimal() else folder.name)


def as_name(text: str) -> str:
    """A file's name as a model name: what URLs and folders take without escaping."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._") or "model"


def _holds_weights_only(path: Path) -> bool:
    if path.suffix == ".keras":
        return False
    try:
        with h5py.File(path) as file:
            return "model_config" not in file.attrs
    except OSError:
        return False  # not HDF5 at all: Keras says so
