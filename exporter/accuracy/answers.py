"""The seam between pictures and whoever classifies them, and the way through it.

    files ─► threads: read, prepare (decode, or ask) ─► batches ─► answer ─► Answers [N,K]

At most a few batches are alive at once, so that a folder of any size streams through.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from contract.card import ClassInfo
from contract.pixels import ImageError
from exporter.accuracy.datasets import PictureFile
from exporter.batches import FULL_SIDE

MAX_K: Final = 10
_MAX_BATCH: Final = 32
_BATCH_BYTES: Final = _MAX_BATCH * FULL_SIDE**2 * 3
_BATCHES_AHEAD: Final = 2
_MAX_FILE_BYTES: Final = 100_000_000

Progress = Callable[[int, int], None]
"""Told how many pictures of how many are done."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a classifier says to N pictures."""

    class_indices: npt.NDArray[np.int32]
    """[N,K], the most probable first."""
    probabilities: npt.NDArray[np.float32]
    """[N,K]"""


class Answerer(Protocol):
    """Somebody who classifies pictures."""

    @property
    def name(self) -> str:
        """For people: `digits version 3`, `flowers.keras`."""
        ...

    @property
    def classes(self) -> Sequence[ClassInfo]:
        """In order of index."""
        ...

    @property
    def picture_bytes(self) -> int:
        """What a prepared picture takes: batches are sized by it."""
        ...

    def prepare(self, data: bytes) -> Any:
        """Make of a file what `answer` takes; called in threads.

        Raises:
            ImageError: it is no picture.
        """
        ...

    def answer(self, prepared: Sequence[Any]) -> Answers:
        """Classify what has been prepared: one row each."""
        ...


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that nobody could classify, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers, and which of the files they belong to."""

    positions: npt.NDArray[np.int64]
    """[N], ascending: the others are broken."""
    answers: Answers
    broken: tuple[Broken, ...]


def answer_all(answerer: Answerer, files: Sequence[PictureFile], on_progress: Progress) -> Answered:
    """Have every file classified, in order; broken ones are told apart, not fatal."""
    positions: list[int] = []
    broken: list[Broken] = []
    rows: list[Answers] = []
    batch: list[Any] = []
    size = _batch_size(answerer)
    ahead = size * _BATCHES_AHEAD
    for position, prepared in enumerate(prepare_all(answerer.prepare, files, ahead)):
        if isinstance(prepared, Broken):
            broken.append(prepared)
        else:
            positions.append(position)
            batch.append(prepared)
        if len(batch) == size or (batch and position + 1 == len(files)):
            rows.append(answerer.answer(batch))
            batch = []
        on_progress(position + 1, len(files))
    return Answered(np.array(positions, dtype=np.int64), _join(rows), tuple(broken))


def _batch_size(answerer: Answerer) -> int:
    return max(1, min(_MAX_BATCH, _BATCH_BYTES // max(1, answerer.picture_bytes)))


def prepare_all(
    prepare: Callable[[bytes], Any], files: Sequence[PictureFile], ahead: int
) -> Iterator[Any]:
    """Read and prepare every file in threads: in order what it became, or `Broken`.

    Args:
        prepare: called in threads; raises ImageError.
        files: in the order of the results.
        ahead: how many may be waiting, which bounds the memory.
    """
    waiting: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(2 * (os.cpu_count() or 1), thread_name_prefix="pictures")
    try:
        for file in files:
            waiting.append(pool.submit(_prepare, prepare, file))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(prepare: Callable[[bytes], Any], file: PictureFile) -> Any:
    try:
        return prepare(read_file(file.path))
    except (OSError, ImageError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Broken(file.name, reason or type(error).__name__)


def read_file(path: Path) -> bytes:
    """A picture's bytes.

    Raises:
        OSError: it cannot be read.
        ImageError: it is no regular file, or too large to be a picture.
    """
    size = path.stat().st_size
    if not path.is_file():
        raise ImageError("no regular file")
    if size > _MAX_FILE_BYTES:
        raise ImageError(f"{size / 1e6:.0f} MB are no picture")
    return path.read_bytes()


def _join(rows: Sequence[Answers]) -> Answers:
    if not rows:
        return Answers(np.empty((0, 1), np.int32), np.empty((0, 1), np.float32))
    return Answers(
        np.concatenate([each.class_indices for each in rows]),
        np.concatenate([each.probabilities for each in rows]),
    )
