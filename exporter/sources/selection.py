"""Which source the command line means, and the name that it suggests; TensorFlow comes later."""

# ruff: noqa: PLC0415 - what needs TensorFlow is imported when a source is loaded

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.options import IMAGENET, TensorNames
from exporter.progress import Reporter
from exporter.settings import Settings

if TYPE_CHECKING:
    from exporter.sources.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What the command line says about the source."""

    application: str | None = None
    keras_file: Path | None = None
    saved_model: Path | None = None
    weights: str = IMAGENET
    image_size: tuple[int, int] | None = None
    """height, width"""
    labels: str | None = None
    """A file, or `imagenet`; its length is the number of classes of an application."""
    names: TensorNames = field(default_factory=TensorNames)


def default_name(options: SourceOptions) -> str:
    """The model name that the source suggests."""
    if options.keras_file is not None:
        return _as_name(options.keras_file.stem)
    if options.saved_model is not None:
        folder = options.saved_model.resolve()
        # theirs/3 is version 3 of theirs
        return _as_name(folder.parent.name if folder.name.isdecimal() else folder.name)
    return str(options.application).lower()


@dataclass(frozen=True, slots=True)
class Selected:
    """Loads the one source that was named; may be sent to another process."""

    options: SourceOptions
    settings: Settings

    def __call__(self, report: Reporter, /) -> Network:
        """As `Load`."""
        options = self.options
        if options.keras_file is not None:
            from exporter.sources.keras_file import load_keras

            return load_keras(options.keras_file)
        if options.saved_model is not None:
            from exporter.sources.saved_model import load_saved_model

            return load_saved_model(options.saved_model, options.names)
        return self._application(str(options.application), report)

    def _application(self, name: str, report: Reporter) -> Network:
        from exporter.sources import labels as label_files
        from exporter.sources.application import load_application

        labels = self.options.labels
        count = len(label_files.read(Path(labels))) if labels and labels != IMAGENET else None
        return load_application(
            name,
            self.options.weights,
            self.settings,
            report,
            image_size=self.options.image_size,
            class_count=count,
        )


def _as_name(text: str) -> str:
    """A file's name as a model name: what URLs and folders take without escaping."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "model"
