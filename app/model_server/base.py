"""What the gateway needs from a model server, whatever the protocol.

A request's inputs travel as rows: one encoded image each, made by `encode_row` in a worker thread,
so that forming a batch of 32 in the event loop costs a join and not 32 encodings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

DType = Literal["uint8", "int32", "float32", "string"]
"""The element types an image classifier's input can have."""

Output = npt.NDArray[Any] | list[list[bytes]]
"""A numeric tensor, or the rows of a string tensor of rank 2 (rank 1 becomes rows of one)."""


@dataclass(frozen=True, slots=True)
class Servable:
    """A model, and which version of it: a number, a label, or (both None) the served one."""

    name: str
    version: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        if self.version is not None:
            return f"version {self.version} of model {self.name}"
        if self.label is not None:
            return f"version label {self.label} of model {self.name}"
        return f"model {self.name}"


@dataclass(frozen=True, slots=True)
class Input:
    """One input tensor: `rows` encoded by the same model server's `encode_row`."""

    name: str
    dtype: DType
    row_shape: tuple[int, ...]
    rows: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Prediction:
    """Outputs by name, each with one row per input row, and the version that computed them."""

    version: int
    outputs: Mapping[str, Output]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a signature; a dimension of -1 is free, None means unknown rank."""

    dtype: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of one signature, by name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


@dataclass(frozen=True, slots=True)
class Metadata:
    """The version that a servable stands for right now, and its signatures."""

    version: int
    signatures: Mapping[str, Signature]


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """The state of one version: START, LOADING, AVAILABLE, UNLOADING or END."""

    version: int
    state: str
    error_code: str
    error_message: str


class ModelServer(Protocol):
    """A process, or several, that speak TensorFlow Serving's API. Raises only GatewayErrors."""

    reports_version: bool
    """Whether an answer names its version; if not, callers must ask for a number."""
    prefers_strings: bool
    """Whether pixels travel better as one string than as a tensor of numbers."""

    def encode_row(self, row: npt.NDArray[np.generic] | bytes, /) -> bytes:
        """Encode one batch row; thread-safe, never called in the event loop for images."""
        ...

    async def predict(
        self,
        servable: Servable,
        signature: str,
        tensor: Input,
        *,
        outputs: Sequence[str] = (),
        timeout_seconds: float,
    ) -> Prediction:
        """Run one signature on one batch; `outputs` filters, empty means all."""
        ...

    async def metadata(self, servable: Servable, *, timeout_seconds: float) -> Metadata:
        """Resolve a servable to its version and read its signatures."""
        ...

    async def statuses(self, name: str, *, timeout_seconds: float) -> list[VersionStatus]:
        """The states of a model's versions, highest first."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
