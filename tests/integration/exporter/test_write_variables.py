"""Versions whose weights stay variables: from every kind of source, through the whole gate."""

import numpy as np
import pytest
import tensorflow as tf

from contract.card import Source
from exporter.export import export
from exporter.options import ExportOptions
from exporter.progress import SilentReporter
from exporter.settings import Settings
from exporter.sources.keras_file import from_keras, load_keras
from exporter.sources.saved_model import load_saved_model
from exporter.sources.tensor_names import TensorNames
from tests.support.exporter_models import save_saved_model, tiny_keras


def publish(load, base_path):
    options = ExportOptions(name="m", base_path=base_path, parity_bound=1e-4, freeze="never")
    return export(lambda _: load(), options, Settings(max_batch_size=2), SilentReporter())


def from_file(tmp_path):
    file = tmp_path / "tiny.keras"
    tiny_keras().save(file)
    return lambda: load_keras(file)


def in_memory(_tmp_path):
    return lambda: from_keras(tiny_keras(), Source(kind="keras", name="m"))


def somebody_elses(tmp_path):
    save_saved_model(tmp_path / "theirs")
    return lambda: load_saved_model(tmp_path / "theirs", TensorNames())


@pytest.mark.parametrize("source", [from_file, in_memory, somebody_elses])
def test_it_is_proven_and_keeps_its_variables(source, tmp_path):
    published = publish(source(tmp_path), tmp_path / "models")
    assert not published.card.is_frozen
    assert {check.protocol for check in published.checked} == {"gRPC", "REST"}
    stored = tf.train.list_variables(str(published.path / "variables" / "variables"))
    assert sum(np.prod(shape) for _, shape in stored if shape) >= 3 * 3 * 3 * 8 + 8 * 12
    assert published.path.joinpath("saved_model.pb").stat().st_size < 200_000
