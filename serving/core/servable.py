"""What a loaded version looks like from outside the engine: names, tensors, nothing of TensorFlow.

Tensors are NumPy arrays. String tensors are object arrays of bytes; bfloat16 uses ml_dtypes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from protocol.models import SignatureSpec


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
