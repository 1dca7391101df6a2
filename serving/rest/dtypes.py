"""The element types that JSON can carry, and what TensorFlow calls them all."""

from __future__ import annotations

from typing import Any

import numpy as np

FLOATS: dict[str, type[np.floating[Any]]] = {"DT_FLOAT": np.float32, "DT_DOUBLE": np.float64}
INTEGERS: dict[str, type[np.integer[Any]]] = {
    "DT_INT8": np.int8,
    "DT_INT16": np.int16,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_UINT8": np.uint8,
    "DT_UINT32": np.uint32,
    "DT_UINT64": np.uint64,
}
STRING = "DT_STRING"
BOOL = "DT_BOOL"


def type_string(dtype: str) -> str:
    """TensorFlow's name of a type, from its enum name: "DT_FLOAT" is "float"."""
    return dtype.removeprefix("DT_").lower()


def array_type_string(dtype: np.dtype[Any]) -> str:
    """The same for an array that a model answered."""
    names = {"float32": "float", "float64": "double", "float16": "half", "object": "string"}
    return names.get(dtype.name, dtype.name)
