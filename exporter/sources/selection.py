"""Which source the command line means, and the name that it suggests."""

# ruff: noqa: PLC0415 - ONNX's packages are an extra, which most installations lack

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from exporter.progress import Reporter
from exporter.settings import Settings
from exporter.sources import labels as label_files
from exporter.sources.application import IMAGENET, load_application
from exporter.sources.conversion_packages import require_packages
from exporter.sources.keras_file import load_keras
from exporter.sources.known_applications import find_application
from exporter.sources.network import Network
from exporter.sources.saved_model import TensorNames, load_saved_model


@dataclass(frozen=True, slots=True)
class Selected:
    """A source that is not loaded yet."""

    default_name: str
    load: Callable[[Reporter], Network]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What the command line says about the source."""

    application: str | None = None
    keras_file: Path | None = None
    saved_model: Path | None = None
    onnx_file: Path | None = None
    torch_file: Path | None = None
    weights: str = IMAGENET
    image_size: tuple[int, int] | None = None
    """height, width"""
    labels: str | None = None
    """A file, or `imagenet`; its length is the number of classes of an application."""
    names: TensorNames = field(default_factory=TensorNames)


def select_source(options: SourceOptions, settings: Settings) -> Selected:
    """Take the one source that was named.

    Raises:
        UsageError: there is no such application, or its labels cannot be read.
    """
    keras_file, saved_model = options.keras_file, options.saved_model
    if keras_file is not None:
        return Selected(_as_name(keras_file.stem), lambda _: load_keras(keras_file))
    if saved_model is not None:
        folder = saved_model.resolve()
        # theirs/3 is version 3 of theirs
        name = folder.parent.name if folder.name.isdecimal() else folder.name
        return Selected(_as_name(name), lambda _: load_saved_model(saved_model, options.names))
    for option, file in (("--onnx", options.onnx_file), ("--torch", options.torch_file)):
        if file is not None:
            require_packages(option)
            load = _load_onnx if option == "--onnx" else _load_torch
            return Selected(_as_name(file.stem), partial(load, file, options, settings))
    return _application(str(options.application), options, settings)


def _load_onnx(file: Path, options: SourceOptions, settings: Settings, _: Reporter) -> Network:
    from exporter.sources.onnx_file import load_onnx

    return load_onnx(
        file,
        output=options.names.output,
        image_size=options.image_size,
        timeout_seconds=settings.conversion_timeout_seconds,
    )


def _load_torch(file: Path, options: SourceOptions, settings: Settings, _: Reporter) -> Network:
    from exporter.sources.torch_program import load_torch

    return load_torch(
        file,
        output=options.names.output,
        image_size=options.image_size,
        python=settings.torch_python or sys.executable,
        timeout_seconds=settings.conversion_timeout_seconds,
    )


def _application(name: str, options: SourceOptions, settings: Settings) -> Selected:
    found = find_application(name)
    labels = options.labels
    count = len(label_files.read(Path(labels))) if labels and labels != IMAGENET else None
    return Selected(
        found.name.lower(),
        lambda report: load_application(
            found.name,
            options.weights,
            settings,
            report,
            image_size=options.image_size,
            class_count=count,
        ),
    )


def _as_name(text: str) -> str:
    """A file's name as a model name: what URLs and folders take without escaping."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "model"
