"""Loads whichever source the command line means; TensorFlow comes when it is loaded."""

# ruff: noqa: PLC0415 - what needs TensorFlow is imported when a source is loaded

# ruff: noqa: PLC0415 - ONNX's packages are an extra, which most installations lack

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.options import IMAGENET
from exporter.progress import Reporter
from exporter.settings import Settings
from exporter.sources.source_files import SourceFiles
from exporter.sources.tensor_names import TensorNames

if TYPE_CHECKING:
    from exporter.sources.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What the command line says about the source."""

    files: SourceFiles
    image_size: tuple[int, int] | None = None
    """height, width"""
    labels: str | None = None
    """As `labels.read` takes it, or `imagenet`; an application gets so many classes."""
    names: TensorNames = field(default_factory=TensorNames)
    allowed_ops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selected:
    """Loads the one source that was named; may be sent to another process."""

    options: SourceOptions
    settings: Settings

    def __call__(self, report: Reporter, /) -> Network:
        """As `Load`."""
        files, names = self.options.files, self.options.names
        if files.keras_file is not None:
            from exporter.sources.keras_file import load_keras

            return load_keras(
                files.keras_file,
                names,
                files.custom_objects,
                max_bytes=self.settings.max_source_bytes,
            )
        if files.saved_model is not None:
            from exporter.sources.saved_model import load_saved_model

            return load_saved_model(files.saved_model, names, self.options.allowed_ops)
        if files.onnx_file is not None:
            from exporter.sources.onnx_file import load_onnx

            return load_onnx(
                files.onnx_file,
                output=names.output,
                image_size=self.options.image_size,
                timeout_seconds=self.settings.conversion_timeout_seconds,
            )
        if files.torch_file is not None:
            from exporter.sources.torch_program import load_torch

            return load_torch(
                files.torch_file,
                output=names.output,
                image_size=self.options.image_size,
                python=self.settings.torch_python or sys.executable,
                timeout_seconds=self.settings.conversion_timeout_seconds,
            )
        return self._application(str(files.application), report)

    def _application(self, name: str, report: Reporter) -> Network:
        from exporter.sources import labels as label_files
        from exporter.sources.application import load_application

        labels = self.options.labels
        count = len(label_files.read(labels)) if labels and labels != IMAGENET else None
        return load_application(
            name,
            self.options.files.weights,
            self.settings,
            report,
            image_size=self.options.image_size,
            class_count=count,
        )
