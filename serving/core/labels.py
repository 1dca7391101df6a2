"""Version labels: names for versions that clients may ask for, and the rules of assigning them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from protocol.codes import Code
from serving.core.errors import ServingError, invalid_argument

Labels = Mapping[str, Mapping[str, int]]
"""Version by label by model name."""


def check_labels(
    current: Labels,
    wanted: Labels,
    available: Callable[[str], frozenset[int]],
    *,
    allow_unavailable: bool,
) -> None:
    """A label may point only at an AVAILABLE version.

    `allow_unavailable` lets a new label point anywhere; moving a label that exists still needs an
    AVAILABLE target, so that its clients never fall into a gap.

    Raises:
        ServingError: FAILED_PRECONDITION for the first label that may not be assigned.
    """
    for model_name, labels in wanted.items():
        assigned = current.get(model_name, {})
        for label, version in labels.items():
            is_move = assigned.get(label, version) != version
            if allow_unavailable and not is_move:
                continue
            if version not in available(model_name):
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {model_name}, "
                    "which is not currently available for inference",
                )


class LabelMap:
    """The labels in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._labels: Labels = {}

    @property
    def labels(self) -> Labels:
        """The current labels."""
        with self._lock:
            return self._labels

    def replace(self, labels: Labels) -> None:
        """Put a new set in force, all at once."""
        with self._lock:
            self._labels = labels

    def version_of(self, model_name: str, label: str) -> int:
        """The version behind a label.

        Raises:
            ServingError: INVALID_ARGUMENT for an unknown label (or model).
        """
        version = self.labels.get(model_name, {}).get(label)
        if version is None:
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        return version
