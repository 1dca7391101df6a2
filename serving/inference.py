"""One use case per API method, free of any transport: REST and gRPC both call this.

Tensors are NumPy arrays by name (strings: object arrays of bytes). Everything raises ServingError
and nothing else.

A request that needs the signature before it can read its inputs (REST does) takes a lease, which
pins one version from the look-up to the answer, so that a swap in between cannot mix two:

    with inference.lease(spec) as lease:
        signature = lease.signature("serving_default")
        prediction = lease.predict(arrays_from(body, signature))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.core.errors import Code
    from serving.core.servable import SignatureSpec, State


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which servable a request asks for. `version` and `version_label` exclude each other."""

    name: str
    version: int | None = None
    version_label: str | None = None
    signature_name: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Outputs by name, and the spec that answered (version and signature filled in)."""

    spec: ModelSpec
    outputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class of one example. The label is empty where the model names none."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Classification:
    """One list of classes per example, in order; `score` is a float32 widened."""

    spec: ModelSpec
    results: list[list[ClassScore]]


@dataclass(frozen=True, slots=True)
class Regression:
    """One float32 value (widened) per example, in order."""

    spec: ModelSpec
    results: list[float]


@dataclass(frozen=True, slots=True)
class Metadata:
    """The resolved spec and a serialized SignatureDef by signature name."""

    spec: ModelSpec
    signature_defs: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version in a status answer. `code` is OK unless loading failed."""

    version: int
    state: State
    code: Code
    message: str


class Lease:
    """One pinned version of one model."""

    @property
    def spec(self) -> ModelSpec:
        """The request's spec with the version that answers; the label is gone."""
        raise AssertionError

    @property
    def signatures(self) -> Mapping[str, SignatureSpec]:
        """All signatures, `__saved_model_init_op` included."""
        raise AssertionError

    def signature(self, signature_name: str = "") -> SignatureSpec:
        """A signature ("" is `serving_default`); FAILED_PRECONDITION when there is none."""
        raise AssertionError

    def predict(
        self,
        inputs: Mapping[str, Any],
        *,
        output_filter: Sequence[str] = (),
        signature_name: str = "",
        timeout_seconds: float | None = None,
    ) -> Prediction:
        """Run one signature on arrays by input alias."""
        raise AssertionError

    def classify(
        self, examples: Any, *, signature_name: str = "", timeout_seconds: float | None = None
    ) -> Classification:
        """Run a classification signature on a tensorflow_serving.apis.input_pb2.Input."""
        raise AssertionError

    def regress(
        self, examples: Any, *, signature_name: str = "", timeout_seconds: float | None = None
    ) -> Regression:
        """Run a regression signature on a tensorflow_serving.apis.input_pb2.Input."""
        raise AssertionError


class Inference:
    """The API's methods."""

    @contextmanager
    def lease(self, spec: ModelSpec) -> Iterator[Lease]:
        """Pin the version that `spec` resolves to now.

        Raises:
            ServingError: NOT_FOUND without such a servable, INVALID_ARGUMENT for an unknown label
                or an empty name.
        """
        raise AssertionError

    def predict(
        self,
        spec: ModelSpec,
        inputs: Mapping[str, Any],
        *,
        output_filter: Sequence[str] = (),
        timeout_seconds: float | None = None,
    ) -> Prediction:
        """Lease and predict in one step."""
        raise AssertionError

    def metadata(self, spec: ModelSpec) -> Metadata:
        """The signatures of the version that `spec` resolves to."""
        raise AssertionError

    def status(self, spec: ModelSpec) -> list[VersionStatus]:
        """States, highest version first; `version` narrows it to one, a label is ignored."""
        raise AssertionError
