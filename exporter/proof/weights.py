"""The numbers of a network, tensor by tensor: finite, and not so empty that no image matters.

Variables and constants both: a SavedModel may be frozen. One tensor is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from exporter.errors import RefusedError
from exporter.graph.reading import Place, operations, origin, output_of
from exporter.proof.lines import GateLine

_STEP: Final = "weights"
_KERNEL_RANK: Final = 2
_SHOWN: Final = 3

# Between the scores and the kernel that they come from.
_BEHIND_KERNELS: Final = frozenset({"Softmax", "Sigmoid", "BiasAdd", "Add", "AddV2"})
_WITH_KERNELS: Final = frozenset({"MatMul", "BatchMatMulV2", "Conv2D", "DepthwiseConv2dNative"})


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    rank: int
    size: int
    low: float
    high: float
    """NaN, like `low`, if any number is."""
    is_variable: bool

    @property
    def is_zero(self) -> bool:
        return self.low == 0 == self.high

    @property
    def is_kernel(self) -> bool:
        return self.rank >= _KERNEL_RANK and self.size > 1


def require_sound(traced: Any, name: str) -> GateLine:
    """Refuse NaN, infinity, and kernels of zeros that leave nothing of the image.

    Biases, BatchNorm's beta, and a gamma that starts at zero are zero with good reason. A kernel
    is not, but one in a side branch does no harm: it is mentioned.

    Args:
        traced: the network as a concrete function.
        name: the source's, for the message.

    Raises:
        RefusedError: names the tensor.
    """
    tensors = [*_variables(traced), *_constants(traced)]
    for tensor in tensors:
        _require_finite(tensor, name)
    kernels = [tensor for tensor in tensors if tensor.is_kernel]
    empty = [kernel.name for kernel in kernels if kernel.is_zero]
    if kernels and len(empty) == len(kernels):
        raise _refused(f"{name}: all its kernels are zero ({_listed(empty)}): it was never trained")
    last = _last_kernel(traced)
    if last in empty:
        raise _refused(f"{name}: {last} is all zero, and the last layer: all images look the same")
    total = sum(tensor.size for tensor in tensors)
    found = f"{total:,} numbers in {len(tensors)} tensors, all finite"
    return GateLine(step=_STEP, found=f"{found}; all zero: {_listed(empty)}" if empty else found)


def _require_finite(tensor: _Tensor, name: str) -> None:
    if np.isnan(tensor.low):
        raise _refused(f"{name}: NaN in {tensor.name}; {_ADVICE}")
    # A lone infinite constant is a limit (of a clip, of a maximum), not a weight.
    is_weight = tensor.is_variable or tensor.size > 1
    if is_weight and not (np.isfinite(tensor.low) and np.isfinite(tensor.high)):
        which = "infinity" if tensor.high == np.inf else "-infinity"
        raise _refused(f"{name}: {which} in {tensor.name}; {_ADVICE}")


_ADVICE: Final = "the training went wrong or the file is damaged, take an earlier checkpoint"


def _variables(traced: Any) -> Iterator[_Tensor]:
    for variable in traced.variables:
        if variable.dtype.is_floating:
            # numpy() would copy once more.
            yield _measured(variable.name, np.asarray(variable.read_value()), is_variable=True)


def _constants(traced: Any) -> Iterator[_Tensor]:
    for op in operations(traced.graph):
        if op.type == "Const" and op.outputs[0].dtype.is_floating:
            values = tf.make_ndarray(op.get_attr("value"))
            yield _measured(op.name, values, is_variable=False)


def _measured(name: str, values: npt.NDArray[Any], *, is_variable: bool) -> _Tensor:
    # Minimum and maximum are NaN if a number is, and need no second array as isfinite does.
    with np.errstate(invalid="ignore"):  # bfloat16 warns of NaN
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    return _Tensor(
        name.removesuffix(":0"), values.ndim, values.size, low, high, is_variable=is_variable
    )


def _last_kernel(traced: Any) -> str | None:
    """The name of what the scores were last multiplied by, if the graph ends that plainly."""
    place = origin(output_of(traced))
    while place.op.type in _BEHIND_KERNELS:
        place = origin(place.input(0))
    return _name_of(origin(place.input(1)), traced) if place.op.type in _WITH_KERNELS else None


def _name_of(place: Place, traced: Any) -> str | None:
    if place.op.type == "Const":
        return str(place.op.name)
    if place.op.type == "ReadVariableOp":
        place = origin(place.input(0))
    inner = [id(captured) for _, captured in traced.graph.captures]
    if id(place.tensor) not in inner:
        return None
    handle = traced.graph.captures[inner.index(id(place.tensor))][0]
    names = [each.name for each in traced.variables if each.handle is handle]
    return str(names[0]).removesuffix(":0") if names else None


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _refused(message: str) -> RefusedError:
    return RefusedError(message, step=_STEP)
