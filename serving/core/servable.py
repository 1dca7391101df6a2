"""What a loaded version looks like from outside the engine: names, tensors, nothing of TensorFlow.

Tensors are NumPy arrays. String tensors are object arrays of bytes; bfloat16 uses ml_dtypes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol


class State(Enum):
    """Life-cycle states of one version; the value is the wire's number (get_model_status.proto)."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a signature.

    `name` is the graph's tensor name ("serving_default_images:0"), `dtype` TensorFlow's enum name
    ("DT_UINT8"), `shape` the dimensions with -1 for unknown, None for an unknown rank.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class SignatureSpec:
    """One signature: its method name and its named inputs and outputs."""

    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


class Servable(Protocol):
    """A loaded version. The engine makes it; `inference` runs it."""

    @property
    def signatures(self) -> Mapping[str, SignatureSpec]:
        """The signatures of the model, by name."""
        ...

    def run(
        self, signature_name: str, inputs: Mapping[str, Any], outputs: Sequence[str]
    ) -> dict[str, Any]:
        """Run one signature: arrays in by input name, arrays out for the wanted output names.

        Raises:
            ServingError: with the code and message of the failing op.
        """
        ...

    def close(self) -> None:
        """Give the version's memory back. No run is under way or follows."""
        ...
