"""Which version label answers a request that names none: by weight, and the same for the same key.

        0 ───────────────── stable ───────────────── 95 ─ canary ─ 100
                    ▲                                        ▲
              hash of one key                          hash of another

A key's place is its hash, so every gateway, and the same one after a restart, sends it to the same
label; and growing the last share only moves keys into it. A request without a key is sent anywhere.

A label that nobody assigned must not fail requests: they go to the first label instead, and where
that is what is missing to whatever version is served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final, Protocol, TypeVar

from app.classify.shares import Share
from app.errors import ModelNotReadyError, ModelVersionNotFoundError
from protocol.models import ModelSpec

_T = TypeVar("_T")

_KEEP_SECONDS: Final = 1.0
"""A missing label is asked for again after so long, not by every request."""
_HASH_BYTES: Final = 8


class SplitObserver(Protocol):
    """What a split reports; metrics implement it."""

    def assigned(self, model: str, label: str) -> None:
        """A request fell to the label."""

    def fell_back(self, model: str, label: str) -> None:
        """It was sent elsewhere, for no version has the label."""


class Split:
    """Chooses labels for the models that have shares."""

    def __init__(
        self,
        shares: Mapping[str, Sequence[Share]],
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        observer: SplitObserver,
    ) -> None:
        """Create it.

        Args:
            shares: by model; those of each add up to 100 %.
            clock: monotonic seconds.
            random: a number in [0, 1) for requests without a key.
            observer: told each choice.
        """
        self._clock = clock
        self._random = random
        self._observer = observer
        self._labels: dict[str, list[tuple[float, str]]] = {}
        self._missing_until: dict[ModelSpec, float] = {}
        for model, its in shares.items():
            ends = accumulate(share.percent / 100 for share in its)
            self._labels[model] = [
                (end, share.label) for end, share in zip(ends, its, strict=True) if share.percent
            ]

    async def ask(
        self, spec: ModelSpec, key: str | None, ask: Callable[[ModelSpec], Awaitable[_T]]
    ) -> tuple[ModelSpec, _T]:
        """Ask for the label that the request falls to, or for what stands in for it.

        Args:
            spec: what the request wants; one that names a version or a label is left as it is.
            key: requests with the same key fall to the same label.
            ask: asks for one spec.

        Returns:
            What was asked for in the end, and the answer.
        """
        labels = self._labels.get(spec.name)
        if labels is None or spec.is_pinned:
            return spec, await ask(spec)
        chosen = _at(labels, self._random() if key is None else _place(spec.name, key))
        self._observer.assigned(spec.name, chosen)
        for label in dict.fromkeys((chosen, labels[0][1])):
            labelled = replace(spec, version_label=label)
            if self._is_missing(labelled):
                continue
            try:
                answer = await ask(labelled)
            except (ModelVersionNotFoundError, ModelNotReadyError):
                self._missing_until[labelled] = self._clock() + _KEEP_SECONDS
                continue
            if label != chosen:
                self._observer.fell_back(spec.name, chosen)
            return labelled, answer
        self._observer.fell_back(spec.name, chosen)
        return spec, await ask(spec)

    def _is_missing(self, spec: ModelSpec) -> bool:
        until = self._missing_until.get(spec)
        return until is not None and self._clock() < until


def _at(labels: Sequence[tuple[float, str]], place: float) -> str:
    """The label whose part of [0, 1) holds the place; the last one also what rounding lost."""
    return next((label for end, label in labels if place < end), labels[-1][1])


def _place(model: str, key: str) -> float:
    """Where in [0, 1) a key lies; another place for another model."""
    digest = hashlib.sha256(f"{model}\0{key}".encode()).digest()
    return int.from_bytes(digest[:_HASH_BYTES]) / 256**_HASH_BYTES
