"""One tiny model, exported once with everything, for the tests here."""

# ruff: noqa: PLC0415 - TensorFlow takes seconds to import, and not every test here wants it

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before any test imports TensorFlow


@dataclass(frozen=True)
class Exported:
    base_path: Path
    path: Path
    keras_file: Path
    model: Any
    card: Any
    labels: list[str]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The Keras model and its file."""
    from tests.support.exporter_models import tiny_keras

    model = tiny_keras()
    file = tmp_path_factory.mktemp("keras") / "tiny.keras"
    model.save(file)
    return model, file


@pytest.fixture(scope="session")
def exported(tiny, tmp_path_factory):
    """A published version, proven on the embedded model server."""
    from exporter.export import export
    from exporter.options import ExportOptions
    from exporter.progress import SilentReporter
    from exporter.settings import Settings
    from exporter.sources.keras_file import load_keras
    from tests.support.exporter_models import CLASSES

    model, file = tiny
    base_path = tmp_path_factory.mktemp("models")
    labels = [f"label {index}" for index in range(CLASSES)]
    label_file = file.with_suffix(".txt")
    label_file.write_text("\n".join(labels))
    options = ExportOptions(
        name="tiny", base_path=base_path, labels=str(label_file), parity_bound=1e-4
    )
    published = export(
        lambda _: load_keras(file), options, Settings(max_batch_size=4), SilentReporter()
    )
    return Exported(base_path, published.path, file, model, published.card, labels)
