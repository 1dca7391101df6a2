"""Interfaces of SavedModels that are not ours."""

from __future__ import annotations

import numpy as np
import pytest

from app.errors import ModelError
from app.interface import foreign_interface
from app.model_server.base import Metadata, Signature, TensorSpec
from app.model_settings import ModelSettings


def metadata(inputs=None, outputs=None):
    signature = Signature(
        inputs=inputs or {"x": TensorSpec("DT_FLOAT", (-1, 8, 6, 3))},
        outputs=outputs or {"y": TensorSpec("DT_FLOAT", (-1, 5))},
    )
    return Metadata(1, {"serving_default": signature})


def test_size_and_names_come_from_the_signature():
    interface = foreign_interface("m", metadata(), None)
    assert (interface.image.height, interface.image.width) == (8, 6)
    assert (interface.input_name, interface.dtype, interface.row_shape) == (
        "x",
        "float32",
        (8, 6, 3),
    )


def test_float_inputs_are_scaled_per_channel_in_the_models_order():
    settings = ModelSettings(channels="bgr", scale=2.0, offset=(-1.0, 0.0, 1.0))
    row = foreign_interface("m", metadata(), settings).to_row(
        np.full((8, 6, 3), (10, 20, 30), np.uint8)
    )
    assert row.dtype == np.float32
    np.testing.assert_array_equal(row[0, 0], [59.0, 40.0, 21.0])


def test_uint8_inputs_are_sent_as_they_are():
    uint8 = metadata(inputs={"x": TensorSpec("DT_UINT8", (-1, 8, 6, 3))})
    pixels = np.zeros((8, 6, 3), np.uint8)
    assert foreign_interface("m", uint8, ModelSettings(scale=3.0)).to_row(pixels) is pixels


@pytest.mark.parametrize(
    ("inputs", "settings", "message"),
    [
        ({"x": TensorSpec("DT_STRING", (-1,))}, {}, "takes a tensor of shape"),
        ({"x": TensorSpec("DT_INT64", (-1, 8, 6, 3))}, {}, "takes DT_INT64"),
        ({"x": TensorSpec("DT_FLOAT", (-1, -1, -1, 3))}, {}, "set image.height"),
        ({"x": TensorSpec("DT_FLOAT", None)}, {}, "set image.height"),
        (
            {"a": TensorSpec("DT_FLOAT", None), "b": TensorSpec("DT_FLOAT", None)},
            {},
            "set input in the models file to one of a, b",
        ),
        (None, {"signature": "nope"}, "no signature nope"),
        (None, {"output": "nope"}, "set output"),
    ],
)
def test_what_cannot_work_says_what_to_set(inputs, settings, message):
    with pytest.raises(ModelError, match=message):
        foreign_interface("m", metadata(inputs), ModelSettings(**settings))
