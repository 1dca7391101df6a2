"""Inputs of other shapes than a signature's, and what an exported graph itself makes of them.

As a program, in a process that may die of it:

    python -m tests.support.wrong_shapes VERSION SIDE

prints the code of each answer by signature and input, as JSON. It runs sessions as TensorFlow
Serving does, without the checks of the embedded server.
"""

from __future__ import annotations

import json
import sys

import numpy as np

ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "1"}
"""On by default only where the processor has AVX-512; its kernels end the process."""

RANKS = ((), (1,), (2, 3), (2, 3, 3), (1, 1, 1, 1, 3), (1,) * 6, (1,) * 9, (0,), (0, 0, 0))


def images(side):
    """Shapes of anything but [N, side, side, 3]; some of them claim much and hold nothing."""
    return [
        *RANKS,
        (side, side, 3),
        (1, 1, side, side, 3),
        *((1, *rest) for rest in ((side + 1, side, 3), (side, side - 1, 3), (1, 1, 3))),
        *((1, side, side, channels) for channels in (0, 1, 4)),
        *((0, *rest) for rest in ((side, side, 1), (2**31, 8, 3), (2**40, 2**20, 3))),
    ]


def wrong_inputs(side):
    """Name, then array, by signature: everything that its guard must refuse."""
    other = [shape for shape in RANKS if len(shape) != 1]
    pixels = [("images", np.zeros(shape, np.uint8)) for shape in images(side)]
    return {
        "serving_default": pixels,
        "top_k": pixels,
        "top_k_raw": [("pixels", _strings(shape, bytes(side * side * 3))) for shape in other],
        "top_k_encoded": [("image_bytes", _strings(shape, b"BM")) for shape in other],
        "model_card": [("query", np.zeros(shape, np.int32)) for shape in other],
    }


def _strings(shape, value):
    array = np.empty(shape, np.object_)
    array[...] = value
    return array


def codes(path, side):
    """The code of each answer, by signature and shape."""
    from serving.core.errors import ServingError  # noqa: PLC0415 - TensorFlow
    from serving.engine import EngineOptions, import_engine  # noqa: PLC0415

    servable = import_engine().load(path, EngineOptions())
    servable._shapes = {}
    found = {}
    for signature, inputs in wrong_inputs(side).items():
        spec = servable.signatures[signature]
        fetches = [tensor.name for tensor in spec.outputs.values()]
        for name, array in inputs:
            try:
                servable.run({spec.inputs[name].name: array}, fetches)
                code = "OK"
            except ServingError as error:
                code = error.code.name
            found[f"{signature} {array.shape}"] = code
    return found


if __name__ == "__main__":
    json.dump(codes(sys.argv[1], int(sys.argv[2])), sys.stdout)
