"""The seam between a program and a model server, whichever protocol lies between them.

Inputs travel as rows: each encoded as the client says (see `rows`), where and when the caller likes
(the gateway does it in worker processes), so that forming a batch is a join and not an encoding.

    ProtocolError
    ├── CallError     the model server answered an error, or nobody answered
    └── AnswerError   its answer is no answer to the question
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from protocol.codes import Code
from protocol.models import Metadata, ModelSpec, VersionStatus
from protocol.rows import ENCODERS, RowEncoding
from protocol.tls import Tls

Array = npt.NDArray[Any]
Headers = Sequence[tuple[str, str]]
"""Names in lower case, and values, both ASCII."""


class ProtocolError(Exception):
    """A call of a model server did not work."""


class CallError(ProtocolError):
    """The call failed; UNAVAILABLE also when nobody could be reached."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message


class AnswerError(ProtocolError):
    """The model server answered something that the protocol does not have."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input tensor: `rows` in the encoding of the client that sends it, one at least.

    Raises:
        ValueError: no rows. With batching on, TensorFlow Serving would never answer, and neither
            unload the version nor finish loading a later one.
    """

    name: str
    dtype: str
    """NumPy's name of the element type, or "string"."""
    row_shape: tuple[int, ...]
    rows: Sequence[bytes]

    def __post_init__(self) -> None:
        if not self.rows:
            raise ValueError(f"input {self.name} has no rows")

    @classmethod
    def of_array(cls, name: str, array: Array, client: type[Client] | Client) -> Self:
        """An array of shape [N, ...]; object arrays hold bytes."""
        is_text = array.dtype == np.object_
        return cls(
            name=name,
            dtype="string" if is_text else array.dtype.name,
            row_shape=array.shape[1:],
            rows=[ENCODERS[client.row_encoding](row) for row in array],
        )


@dataclass(frozen=True, slots=True)
class Prediction:
    """Outputs by name, and the version that computed them (None where the answer cannot say)."""

    version: int | None
    outputs: Mapping[str, Array]


class Client(Protocol):
    """One model server, by its `host:port`. Every call raises ProtocolError and nothing else.

    With `tls` the connection is encrypted and the server proves who it is.
    """

    def __init__(self, address: str, tls: Tls | None = None) -> None: ...

    reports_version: bool
    """Whether an answer names its version; if not, it is the one that was asked for."""
    prefers_strings: bool
    """Whether pixels travel better as one string than as a tensor of numbers."""

    row_encoding: RowEncoding
    """How the rows of an input are encoded."""

    @property
    def connections(self) -> int:
        """How often the server was connected to anew, at least since this was first asked for.

        Whoever is connected anew may be another one: restarted with another model, for example. An
        answer that came over such a connection is returned after that has been counted.
        """
        ...

    async def predict(
        self,
        spec: ModelSpec,
        tensor: Input,
        *,
        outputs: Sequence[str] = (),
        timeout_seconds: float,
        headers: Headers = (),
    ) -> Prediction:
        """Run one signature on one batch.

        Args:
            spec: model, version and signature.
            tensor: the signature's one input.
            outputs: the wanted ones; empty means all. Over REST the single output of a signature
                comes without its name: it gets the name that is wanted, "" without one.
            timeout_seconds: from now until the answer.
            headers: go with the call: metadata over gRPC, headers over REST.
        """
        ...

    async def metadata(self, spec: ModelSpec, *, timeout_seconds: float) -> Metadata:
        """The version that the spec stands for, and its signatures."""
        ...

    async def statuses(self, name: str, *, timeout_seconds: float) -> list[VersionStatus]:
        """The states of a model's versions, highest first."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
