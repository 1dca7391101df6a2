"""What is asked of a model server and what it says about models, as plain values.

Tensors are NumPy arrays; strings are object arrays of bytes, bfloat16 is ml_dtypes'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from protocol.codes import Code


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which servable is meant, and which of its signatures ("": the default one).

    `version` and `version_label` exclude each other; with neither it is the served version.
    """

    name: str
    version: int | None = None
    version_label: str | None = None
    signature_name: str = ""

    @property
    def is_pinned(self) -> bool:
        """Whether it names a version, by number or by label."""
        return self.version is not None or self.version_label is not None

    def __str__(self) -> str:
        if self.version is not None:
            return f"version {self.version} of model {self.name}"
        if self.version_label is not None:
            return f"version label {self.version_label} of model {self.name}"
        return f"model {self.name}"


class State(IntEnum):
    """Life-cycle states of one version; the value is the wire's number (get_model_status.proto)."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50

    @classmethod
    def of(cls, number: int) -> State:
        """The state with that number; UNKNOWN for one outside the list."""
        return cls(number) if number in cls._value2member_map_ else cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """What status answers say about one version; `code` is OK unless loading failed."""

    version: int
    state: State
    code: Code = Code.OK
    message: str = ""


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


@dataclass(frozen=True, slots=True)
class Metadata:
    """The version of a model that a spec stands for right now, and its signatures by name."""

    name: str
    version: int
    signatures: Mapping[str, SignatureSpec]
