"""One use case per API method, free of any transport: REST and gRPC both call this.

Tensors are NumPy arrays by name (strings: object arrays of bytes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which servable a request asks for. `version` and `version_label` exclude each other."""

    name: str
    version: int | None = None
    version_label: str | None = None
    signature_name: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Outputs by name, and the spec that answered (version filled in)."""

    spec: ModelSpec
    outputs: dict[str, Any] = field(default_factory=dict)


InputArrays = Mapping[str, Any]
