"""A part of the traffic is asked again of another version, whose answer nobody sees.

    photo ─► source ─► outcome ─► client
                          │  some milliseconds later, if nobody waits for a batch
                          └─► row (or file, decoded anew) ─► mirrored version ─► compared, counted

It must never slow or fail a real request: what is mirrored begins after the answer has left, works
on a bounded number of images at a time, keeps a bounded number of bytes, has a deadline of its own,
and is dropped, counted, whenever real images wait. Its failures end here: what a mirrored version
does not answer in time says nothing about the address that real images are sent to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import random
from typing import Any, Final, Literal, Protocol

from app import tracing
from app.classify.answers import ClassPrediction
from app.classify.inference import Inference, Outcome, Photo
from app.classify.shares import Share
from app.errors import DeadlineExceededError, GatewayError, OverloadedError
from protocol.models import ModelSpec

_AFTER_SECONDS: Final = 0.01
"""The real answer is written by then: the event loop takes well under a millisecond for it."""
_MAX_IMAGES: Final = 8
"""Mirrored at a time."""
_MAX_BYTES: Final = 32_000_000
"""Files and rows held for it, all together."""
_LOG_SECONDS: Final = 60.0
"""A label that nobody has fails every time: one line a minute says so."""

_CLIENT: Final = "(shadow)"
"""Whose fair share it takes: neither an address nor a possible name of an API key."""

Fate = Literal["compared", "dropped", "failed", "same_version"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same image, answered and mirrored."""

    model: str
    version: int
    mirrored_version: int
    is_agreed: bool
    """Whether the most probable class is the same."""
    seconds: float
    """Of the version that answered: one call of the model server."""
    mirrored_seconds: float


class ShadowObserver(Protocol):
    """What mirroring reports; metrics implement it."""

    def mirrored(self, model: str, label: str, fate: Fate) -> None:
        """What became of one image."""

    def compared(self, comparison: Comparison) -> None:
        """Both versions have answered it."""


class Mirror:
    """The source that hands each outcome on and, for some, asks the mirrored version too."""

    def __init__(
        self,
        inference: Inference,
        shares: Mapping[str, Sequence[Share]],
        *,
        timeout_seconds: float,
        clock: Callable[[], float],
        is_busy: Callable[[], bool],
        observer: ShadowObserver,
        log: Any,
    ) -> None:
        """Create it.

        Args:
            inference: whose outcomes are handed on, and who asks the mirrored version.
            shares: of these models, so much of the traffic is mirrored to these labels.
            timeout_seconds: for one mirrored image.
            clock: monotonic seconds.
            is_busy: whether real images wait, or would; nothing is mirrored then.
            observer: told what became of each.
            log: a structlog logger.
        """
        self._inference = inference
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._is_busy = is_busy
        self._observer = observer
        self._log = log
        self._logged_at = float("-inf")
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._shares = shares

    async def outcome(self, photo: Photo) -> Outcome:
        """See `Source.outcome`."""
        outcome = await self._inference.outcome(photo)
        for share in self._shares.get(outcome.model.name, ()):
            if 100 * random() < share.percent:  # noqa: S311 - which image is mirrored is no secret
                self._begin(share.label, photo.data, outcome)
        return outcome

    async def aclose(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, label: str, data: bytes, outcome: Outcome) -> None:
        size = len(data) + len(outcome.row)
        if len(self._tasks) >= _MAX_IMAGES or self._bytes + size > _MAX_BYTES:
            self._observer.mirrored(outcome.model.name, label, "dropped")
            return
        self._bytes += size
        task = asyncio.create_task(self._mirror(label, data, outcome))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._end(done, size))

    def _end(self, task: asyncio.Task[None], size: int) -> None:
        self._tasks.discard(task)
        self._bytes -= size

    async def _mirror(self, label: str, data: bytes, outcome: Outcome) -> None:
        name = outcome.model.name
        tracing.enter(None)  # its request's trace is over
        await asyncio.sleep(_AFTER_SECONDS)
        fate: Fate = "dropped"
        if not self._is_busy():
            fate = await self._compare(ModelSpec(name, version_label=label), data, outcome)
        self._observer.mirrored(name, label, fate)

    async def _compare(self, spec: ModelSpec, data: bytes, outcome: Outcome) -> Fate:
        deadline = self._clock() + self._timeout_seconds
        photo = Photo(data, spec, deadline, client=_CLIENT, is_mirrored=True)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                mirrored = await self._inference.again(photo, outcome)
        except OverloadedError:
            return "dropped"
        except Exception as error:  # noqa: BLE001 - whatever it is, no request of a client failed
            self._explain(spec, error)
            return "failed"
        if mirrored is None:
            return "same_version"
        self._observer.compared(
            Comparison(
                model=spec.name,
                version=outcome.model.version,
                mirrored_version=mirrored.model.version,
                is_agreed=_agree(outcome.predictions, mirrored.predictions),
                seconds=outcome.run_seconds,
                mirrored_seconds=mirrored.run_seconds,
            )
        )
        return "compared"

    def _explain(self, spec: ModelSpec, error: Exception) -> None:
        now = self._clock()
        if now - self._logged_at < _LOG_SECONDS:
            return
        self._logged_at = now
        is_late = isinstance(error, (TimeoutError, DeadlineExceededError))
        self._log.warning(
            "shadow failed",
            model=spec.name,
            label=spec.version_label,
            detail="it does not answer in time" if is_late else str(error),
            exc_info=None if is_late or isinstance(error, GatewayError) else error,
        )


def _agree(ours: Sequence[ClassPrediction], theirs: Sequence[ClassPrediction]) -> bool:
    """Whether the first class is the same: by its label, or by its index where one has no label."""
    if not ours or not theirs:
        return not ours and not theirs
    if ours[0].label is None or theirs[0].label is None:
        return ours[0].class_index == theirs[0].class_index
    return ours[0].label == theirs[0].label
