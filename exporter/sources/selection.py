"""Which source the command line means, and the name that it suggests; TensorFlow comes later."""

# ruff: noqa: PLC0415 - what needs TensorFlow is imported when a source is loaded

from __future__ import annotations

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
    allowed_ops: tuple[str, ...] = ()


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

            return load_keras(options.keras_file, max_bytes=self.settings.max_source_bytes)
        if options.saved_model is not None:
            from exporter.sources.saved_model import load_saved_model

            return load_saved_model(options.saved_model, options.names, options.allowed_ops)
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
