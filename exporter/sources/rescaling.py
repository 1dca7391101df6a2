"""What a network's first layers do to pixels: whether 0..255 are right, as far as one can see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import keras
import numpy as np

from exporter.preprocessing import NONE, Preprocess
from exporter.sources.network import Network

# Layers and operations that leave the range of the pixels alone.
_PASSING: Final = frozenset(
    {
        *("InputLayer", "Identity", "Cast", "Dropout", "Cropping2D", "ZeroPadding2D"),
        *("GetItem", "Split", "Stack", "Concatenate", "Flip", "Take", "Squeeze", "ExpandDims"),
        *("Reshape", "Permute", "Transpose", "Moveaxis"),
    }
)
_AUGMENTATION: Final = "keras.src.layers.preprocessing.image_preprocessing"
_SIGNS: Final = {"TrueDivide": "/", "Divide": "/", "Multiply": "*", "Subtract": "-", "Add": "+"}
_WHOLE: Final = 1e-3


def describe(model: Any) -> str | None:
    """What the first layers do, such as `layer rescaling: x/255`; None: no rescaling was found.

    Args:
        model: functional or sequential; models nested in it are looked into.
    """
    found = []
    for operation in _operations(model):
        does = _rescales(operation)
        if does:
            found.append(f"layer {operation.name}: {does}")
        elif not _passes(operation):
            break
    return ", ".join(found) or None


def note(network: Network, chosen: Preprocess | None) -> str | None:
    """What the user should know about the range of the pixels; None: nothing.

    Args:
        network: the source.
        chosen: what --preprocess says; None: auto.
    """
    inside = f"it rescales inside ({network.rescaling})"
    if network.preprocess is not None:
        if chosen in {None, network.preprocess}:
            return None
        return (
            f"preprocess {chosen}: {network.source.name} was trained with {network.preprocess}; "
            "its own weights will answer wrongly"
        )
    if chosen is None and network.rescaling:
        return f"preprocess none: the network gets pixels 0..255; {inside}"
    if chosen is None:
        is_seen = network.source.kind in {"application", "keras"}
        found = "no layer was found in it that" if is_seen else "nobody can see whether it"
        return (
            f"preprocess none: the network gets pixels 0..255, and {found} rescales them. Most "
            "networks are trained on smaller numbers, and then EVERY ANSWER IS WRONG: say "
            "--preprocess as in training, or --preprocess none if 0..255 are right"
        )
    if chosen != NONE and network.rescaling:
        return f"preprocess {chosen}: {inside} as well, so the pixels are rescaled twice"
    return None


def _operations(model: Any) -> Iterator[Any]:
    for operation in getattr(model, "operations", None) or model.layers:
        if isinstance(operation, keras.Model):
            yield from _operations(operation)
        else:
            yield operation


def _rescales(operation: Any) -> str | None:
    if isinstance(operation, keras.layers.Rescaling):
        return _linear(np.asarray(operation.scale), np.asarray(operation.offset))
    if isinstance(operation, keras.layers.Normalization):
        return "(x-mean)/deviation"
    return _arithmetic(operation)


def _passes(operation: Any) -> bool:
    kind = type(operation)
    is_linear = isinstance(operation, keras.layers.Activation) and (
        getattr(operation.activation, "__name__", None) == "linear"
    )
    return kind.__name__ in _PASSING or kind.__module__.startswith(_AUGMENTATION) or is_linear


def _linear(scale: Any, offset: Any) -> str:
    if scale.ndim or offset.ndim:
        return "x*scale+offset, channel by channel"
    divisor = 1 / float(scale) if scale else 0.0
    is_division = abs(divisor) > 1 and abs(divisor * 2 - round(divisor * 2)) < _WHOLE
    factor = f"/{divisor:g}" if is_division else f"*{float(scale):g}"
    return f"x{factor}{float(offset):+g}" if offset else f"x{factor}"


def _arithmetic(operation: Any) -> str | None:
    """`x / 255` written in the model's own code is an operation of that name."""
    sign = _SIGNS.get(type(operation).__name__)
    nodes = getattr(operation, "_inbound_nodes", [])
    arguments = nodes[0].arguments.args if sign and nodes else ()
    constants = [each for each in arguments if not _is_symbolic(each)]
    if sign is None or len(arguments) != 2 or len(constants) != 1:  # noqa: PLR2004 - both operands
        return None
    left, right = ("x" if _is_symbolic(each) else _figure(each) for each in arguments)
    return f"{left}{sign}{right}"


def _is_symbolic(argument: Any) -> bool:
    return any(isinstance(each, keras.KerasTensor) for each in keras.tree.flatten(argument))


def _figure(constant: Any) -> str:
    figures = np.asarray(keras.ops.convert_to_numpy(constant), dtype=np.float64).ravel()
    return "/".join(f"{each:g}" for each in figures[:4])
