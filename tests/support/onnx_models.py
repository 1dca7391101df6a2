"""Small ONNX classifiers for tests, as PyTorch and tf2onnx write them, and with a twist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SIDE = 16
CLASSES = 12
_CHANNELS = 8


def tiny_onnx(  # noqa: PLR0913 - one parameter per twist
    *,
    layout: str = "nchw",
    batch: int | str = "batch",
    side: int | str = SIDE,
    dtype: str = "float32",
    end: str | None = None,
    flatten: str = "Flatten",
    domain: str = "",
    operator: str = "Relu",
) -> Any:
    """An untrained network, [N,3,H,W] or [N,H,W,3] of about -2..2 to logits [N,CLASSES].

    Its kernel has a side of its own in each direction, so that no wrong layout goes unnoticed.
    """
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - not every test wants it

    random = np.random.default_rng(3)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    arrays = {
        "kernel": random.normal(size=(_CHANNELS, 3, 3, 2), scale=0.3).astype(dtype),
        "bias": random.normal(size=_CHANNELS).astype(dtype),
        "matrix": random.normal(size=(_CHANNELS, CLASSES), scale=2.0).astype(dtype),
        "row": np.array([batch if isinstance(batch, int) else -1, _CHANNELS], np.int64),
    }
    nodes = []
    images = "images"
    if layout == "nhwc":
        nodes.append(helper.make_node("Transpose", [images], ["chw"], perm=[0, 3, 1, 2]))
        images = "chw"
    nodes += [
        helper.make_node("Conv", [images, "kernel", "bias"], ["c"], name="conv", strides=[2, 1]),
        helper.make_node(operator, ["c"], ["r"], name="middle", domain=domain),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node(flatten, ["p", "row"] if flatten == "Reshape" else ["p"], ["f"], name="f"),
        helper.make_node("MatMul", ["f", "matrix"], ["logits"], name="classifier"),
    ]
    shape = [batch, side, side, 3] if layout == "nhwc" else [batch, 3, side, side]
    outputs = ["logits"]
    if end:
        nodes.append(helper.make_node(end, ["logits"], ["probabilities"], name="end"))
        outputs.append("probabilities")
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(name, kind, [batch, CLASSES]) for name in outputs[-1:]],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    assert TensorProto.FLOAT == 1
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def save_onnx(path: Path, model: Any, *, external: bool = False) -> Path:
    """Write the file, with its weights in another one if told so."""
    import onnx  # noqa: PLC0415

    onnx.save(model, path, save_as_external_data=external, location="weights.bin", size_threshold=0)
    return path
