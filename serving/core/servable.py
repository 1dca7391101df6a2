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
    """One signature: its method name, its named inputs and outputs, and where they come from.

    `defaults` are the values of inputs that a request may leave out. `definition` is the
    SignatureDef message, serialized: what metadata answers and error texts quote verbatim.
    """

    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    defaults: Mapping[str, Any]
    definition: bytes


class Servable(Protocol):
    """A loaded version. The engine makes it; `inference` runs it."""

    @property
    def signatures(self) -> Mapping[str, SignatureSpec]:
        """The signatures of the model, by name."""
        ...

    def run(
        self,
        feeds: Mapping[str, Any],
        fetches: Sequence[str],
        *,
        timeout_seconds: float | None = None,
    ) -> list[Any]:
        """Run the graph on arrays by tensor name; the fetched arrays in order.

        Raises:
            ServingError: with the code and message of the failing op; DEADLINE_EXCEEDED after
                `timeout_seconds`.
        """
        ...

    def close(self) -> None:
        """Give the version's memory back. No run is under way or follows."""
        ...
