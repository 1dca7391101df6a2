"""Answers that are kept: the same file for the same version is computed once in a while.

The key is the SHA-256 of the whole file and the version that computed the answer. A kept answer is
given only after the model server has said, at that moment, that the request's spec stands for that
very version: so it is never older than what an uncached request would get, neither across a swap
nor after a version was removed. That costs a call without any pixels. It also means that the cache
answers nothing while the model server does not.

A number can be used again: whoever removes version 2 may publish another version 2. So answers are
kept by what the version is, not by its number (see `versions`), and there is an age limit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from app.classify.catalog import Catalog
from app.classify.digest import sha256
from app.classify.inference import Outcome, Photo, Source
from app.classify.versions import ModelVersion
from protocol.models import ModelSpec

_ENTRY_BYTES: Final = 1000
_PREDICTION_BYTES: Final = 250
"""Measured with tracemalloc: an entry of ten classes takes 3 kB, most of it small objects."""

_Key = tuple[bytes, ModelVersion]
"""SHA-256 of the file, and who answered."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    outcome: Outcome
    computed_at: float
    bytes: int


class Cache:
    """The source that keeps what another one computed, the least recently used goes first."""

    def __init__(
        self,
        source: Source,
        catalog: Catalog,
        *,
        max_bytes: int,
        max_age_seconds: float,
        clock: Callable[[], float],
        on_lookup: Callable[[Literal["hit", "miss"]], object],
    ) -> None:
        """Create it.

        Args:
            source: who computes.
            catalog: knows, and can ask, which version a spec stands for.
            max_bytes: for all answers together.
            max_age_seconds: for which an answer may be given.
            clock: monotonic seconds.
            on_lookup: told for each image whether its answer was there.
        """
        self._source = source
        self._catalog = catalog
        self._max_bytes = max_bytes
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._on_lookup = on_lookup
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self.bytes = 0

    async def outcome(self, photo: Photo) -> Outcome:
        """See `Source.outcome`."""
        digest = await sha256(photo.data)
        kept = await self._kept(digest, photo.spec)
        self._on_lookup("miss" if kept is None else "hit")
        if kept is not None:
            return kept
        outcome = await self._source.outcome(photo)
        self._keep((digest, outcome.model), outcome)
        return outcome

    async def _kept(self, digest: bytes, spec: ModelSpec) -> Outcome | None:
        """The answer, if there is one of the version that the spec stands for at this moment."""
        believed = await self._catalog.resolve(spec)
        if self._entry((digest, believed)) is None:
            return None
        key = (digest, await self._catalog.confirm(spec))
        entry = self._entry(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        age_seconds = self._clock() - entry.computed_at
        return replace(entry.outcome, age_seconds=age_seconds)

    def _entry(self, key: _Key) -> _Entry | None:
        """What is kept, unless it is too old."""
        entry = self._entries.get(key)
        if entry is not None and self._clock() - entry.computed_at > self._max_age_seconds:
            self._drop(key)
            return None
        return entry

    def _keep(self, key: _Key, outcome: Outcome) -> None:
        self._drop(key)
        kept = replace(
            outcome, row=b"", batch_size=0, decode_seconds=0.0, queue_seconds=0.0, run_seconds=0.0
        )
        self._entries[key] = entry = _Entry(kept, self._clock(), _size(outcome))
        self.bytes += entry.bytes
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: _Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.bytes


def _size(outcome: Outcome) -> int:
    texts = sum(len(each.label or "") + len(each.id or "") for each in outcome.predictions)
    return _ENTRY_BYTES + _PREDICTION_BYTES * len(outcome.predictions) + 2 * texts
