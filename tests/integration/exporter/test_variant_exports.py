"""Whole exports with variants: what is published, and what a refusal leaves."""

# ruff: noqa: PLC0415 - TensorFlow takes seconds to import

import json

import pytest
from typer.testing import CliRunner

from exporter.cli.app import create_app
from exporter.errors import RefusedError
from exporter.measure.race import Gain
from exporter.progress import SilentReporter
from tests.support.exporter_models import CLASSES, SIDE
from tests.support.variants import Notes, options, short_races


@pytest.fixture(scope="module", autouse=True)
def _short_races():
    with short_races():
        yield


def test_an_export_with_everything_is_proven_and_says_what_it_is(tmp_path, tiny):
    """Through the real model server; the card tells, the manifest holds the file."""
    from exporter.export import export
    from exporter.settings import Settings
    from exporter.sources.keras_file import load_keras
    from exporter.store import inventory, manifest

    report = Notes()
    wanted = options(tmp_path, precision="bfloat16", tflite="dynamic", jit=True)
    published = export(lambda _: load_keras(tiny[1]), wanted, Settings(max_batch_size=3), report)
    card = inventory.find(tmp_path, "m").card
    assert card == published.card
    assert (card.precision, card.parity.bound, card.tflite.kind) == ("bfloat16", 0.1, "dynamic")
    assert "model.tflite" in manifest.read(published.path)
    assert {check.protocol for check in published.checked} == {"gRPC", "REST"}
    assert sum("XLA: " in note for note in report.notes) == 1
    assert len(card.classes) == CLASSES
    shown = CliRunner().invoke(create_app(), ["inspect", "m", "--base-path", str(tmp_path)])
    assert "graph        frozen, bfloat16" in shown.stdout
    assert "tflite       dynamic, 0.0 MB, off by " in shown.stdout


@pytest.mark.parametrize("freeze", ["auto", "never"])
def test_a_compiled_version_is_served_and_warmed_at_every_batch_size(
    tmp_path, tiny, monkeypatch, freeze
):
    import tensorflow as tf

    from exporter.export import export
    from exporter.measure import variants
    from exporter.settings import Settings
    from exporter.sources.keras_file import load_keras
    from exporter.store import warmup

    monkeypatch.setattr(variants, "race", lambda _b, _a, _p, size: Gain(size, 2.0, 1.0, 5.0))
    published = export(
        lambda _: load_keras(tiny[1]),
        options(tmp_path, jit=True, freeze=freeze),
        Settings(max_batch_size=5),
        SilentReporter(),
    )
    assert published.card.is_compiled
    assert published.card.is_frozen == (freeze == "auto")
    assert b"_XlaMustCompile" in (published.path / "saved_model.pb").read_bytes()
    assert {check.protocol for check in published.checked} == {"gRPC", "REST"}
    records = tf.data.TFRecordDataset(str(published.path / warmup.FILE))
    assert len(list(records)) == 5  # 1, 2, 3, 4, 5, where an ordinary graph gets 1, 2, 4, 5


def test_a_refused_variant_leaves_nothing_behind(tmp_path, tiny):
    from PIL import Image

    from exporter.export import export
    from exporter.settings import Settings
    from exporter.sources.keras_file import load_keras

    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "black.png")
    wanted = options(tmp_path / "models", tflite="int8", calibration_dir=tmp_path)
    with pytest.raises(RefusedError, match="tflite int8: off by"):
        export(lambda _: load_keras(tiny[1]), wanted, Settings(), SilentReporter())
    assert not (tmp_path / "models").exists()


def test_cards_from_before_have_none_of_this():
    from contract.card import ModelCard

    old = {
        "model_name": "m",
        "classes": [{"index": 0, "label": "a"}],
        "k": 1,
        "image": {"height": 4, "width": 4},
        "source": {"kind": "keras", "name": "m.keras"},
        "exported_at": "2026-01-01T00:00:00Z",
    }
    card = ModelCard.model_validate_json(json.dumps(old))
    assert (card.is_compiled, card.tflite) == (False, None)
