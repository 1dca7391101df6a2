"""SavedModels that are not ours, as image classifiers."""

from __future__ import annotations

import numpy as np
import pytest

from app.classify.image_signature import foreign_signature
from app.errors import ModelError
from app.models_file import ModelSettings
from protocol.models import Metadata, SignatureSpec, TensorSpec


def metadata(inputs=None, outputs=None):
    signature = SignatureSpec(
        method_name="tensorflow/serving/predict",
        defaults={},
        definition=b"",
        inputs=inputs or {"x": TensorSpec("x:0", "DT_FLOAT", (-1, 8, 6, 3))},
        outputs=outputs or {"y": TensorSpec("x:0", "DT_FLOAT", (-1, 5))},
    )
    return Metadata("m", 1, {"serving_default": signature})


def test_size_and_names_come_from_the_signature():
    signature = foreign_signature("m", metadata(), None)
    assert (signature.image.height, signature.image.width) == (8, 6)
    question = signature.question
    assert (question.input_name, question.dtype, question.row_shape) == ("x", "float32", (8, 6, 3))


def test_float_inputs_are_scaled_per_channel_in_the_models_order():
    settings = ModelSettings(channels="bgr", scale=2.0, offset=(-1.0, 0.0, 1.0))
    plan = foreign_signature("m", metadata(), settings).plan("content")
    row = np.frombuffer(plan.row(np.full((8, 6, 3), (10, 20, 30), np.uint8)), np.float32)
    np.testing.assert_array_equal(row[:3], [59.0, 40.0, 21.0])


def test_uint8_inputs_are_sent_as_they_are():
    uint8 = metadata(inputs={"x": TensorSpec("x:0", "DT_UINT8", (-1, 8, 6, 3))})
    pixels = np.zeros((8, 6, 3), np.uint8)
    plan = foreign_signature("m", uint8, ModelSettings(scale=3.0)).plan("content")
    assert plan.row(pixels) == pixels.tobytes()


@pytest.mark.parametrize(
    ("inputs", "settings", "message"),
    [
        ({"x": TensorSpec("x:0", "DT_STRING", (-1,))}, {}, "takes a tensor of shape"),
        ({"x": TensorSpec("x:0", "DT_INT64", (-1, 8, 6, 3))}, {}, "takes DT_INT64"),
        ({"x": TensorSpec("x:0", "DT_FLOAT", (-1, -1, -1, 3))}, {}, "set image.height"),
        ({"x": TensorSpec("x:0", "DT_FLOAT", None)}, {}, "set image.height"),
        (
            {"a": TensorSpec("x:0", "DT_FLOAT", None), "b": TensorSpec("x:0", "DT_FLOAT", None)},
            {},
            "set input in the models file to one of a, b",
        ),
        (None, {"signature": "nope"}, "no signature nope"),
        (None, {"output": "nope"}, "set output"),
        ({"x": TensorSpec("x:0", "DT_FLOAT", (-1, 9999, 8, 3))}, {}, "less than or equal to 4096"),
    ],
)
def test_what_cannot_work_says_what_to_set(inputs, settings, message):
    with pytest.raises(ModelError, match=message):
        foreign_signature("m", metadata(inputs), ModelSettings(**settings))
