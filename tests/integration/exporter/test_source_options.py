"""What is found out about a source, or said of it, arrives in the card and in the notes."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from contract.card import Source
from exporter.errors import RefusedError
from exporter.export import export
from exporter.options import ExportOptions
from exporter.preprocessing import parse
from exporter.progress import SilentReporter
from exporter.proof import goldens
from exporter.settings import Settings
from exporter.sources import grey
from exporter.sources.keras_file import from_keras
from tests.support.exporter_models import SIDE


class Notes(SilentReporter):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def run(network, base_path, **options):
    notes = Notes()
    options = ExportOptions(name="m", base_path=base_path, **options)
    published = export(lambda _: network, options, Settings(max_batch_size=2), notes)
    return published, " | ".join(notes.said)


@pytest.fixture(scope="module")
def half_grey():
    """A network in mixed float16 that takes grey pictures of -1..1."""
    keras.utils.set_random_seed(5)
    layers, policy = keras.layers, "mixed_float16"
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(8, 3, strides=2, activation="relu", dtype=policy),
            layers.Flatten(dtype=policy),
            layers.Dense(5, activation="softmax", dtype=policy),
        ]
    )
    return from_keras(model, Source(kind="keras", name="half.keras"))


def test_what_was_found_and_what_was_said_is_published_and_noted(half_grey, tmp_path):
    evaluated = {"fit": "center_crop", "crop_fraction": 0.5, "filter": "bicubic"}
    published, notes = run(
        replace(half_grey, evaluated=evaluated),
        tmp_path,
        labels="a,b,c,d,e",
        preprocess=parse("mean=127,scale=128"),
        image={"filter": "nearest"},
    )
    card = published.card
    assert (card.is_grey, card.precision, card.preprocess) == (
        True,
        "float16",
        "mean=127,scale=128",
    )
    assert card.labels == ("a", "b", "c", "d", "e")
    assert (card.image.fit, card.image.crop_fraction, card.image.filter) == (
        "center_crop",
        0.5,
        "nearest",
    )
    assert card.parity.bound == 0.01
    assert "fit center_crop, crop_fraction 0.5: as half.keras was evaluated" in notes
    assert "computes in float16: probabilities may be 0.01 off" in notes
    served = tf.saved_model.load(str(published.path)).signatures["serving_default"]
    kept = goldens.read(published.path)
    by_pillow = [
        np.asarray(Image.fromarray(image).convert("L"), np.float32) for image in kept.pixels
    ]
    expected = half_grey.predict((np.stack(by_pillow)[..., np.newaxis] - 127) / 128)
    np.testing.assert_allclose(
        served(images=tf.constant(kept.pixels))["probabilities"], expected, atol=0.01
    )


@pytest.mark.parametrize(("bound", "allowed"), [(None, "0.01"), (0.001, "0.001")])
def test_a_wrong_grey_is_refused_within_the_bound_of_the_precision_or_the_one_given(
    half_grey, tmp_path, monkeypatch, bound, allowed
):
    monkeypatch.setattr(grey, "in_graph", lambda images: images[..., 2:])
    with pytest.raises(RefusedError, match=f"allowed: {allowed}, it computes in float16"):
        run(half_grey, tmp_path, preprocess=parse("tf"), parity_bound=bound)
    assert not list(tmp_path.glob("m/*"))
