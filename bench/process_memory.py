"""Peak memory of a process, of the model server among its children, and of both at one moment.

Proportional set sizes: a page that several processes share is counted once in their sum, as a
container's limit counts it. To read one takes milliseconds per gigabyte, and the process waits for
it; so resident sizes, which are never smaller, are sampled, and the proportional ones read only
where a peak may have risen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import psutil

_INTERVAL_SECONDS: Final = 0.05
_LOOKS_PER_SEARCH: Final = 5  # for new children: that reads all of /proc


@dataclass(frozen=True)
class Sizes:
    """Bytes at one moment."""

    main: int
    model_server: int

    @property
    def together(self) -> int:
        """Both."""
        return self.main + self.model_server


@dataclass
class Peaks:
    """The largest of each so far; `together` is of one moment, so less than the sum of the two."""

    main: int = 0
    model_server: int = 0
    together: int = 0

    def may_rise(self, resident: Sizes) -> bool:
        """Whether sizes of which these are upper bounds could be a new peak."""
        return (
            resident.main > self.main
            or resident.model_server > self.model_server
            or resident.together > self.together
        )

    def add(self, sizes: Sizes) -> None:
        """Take the sizes of a moment in."""
        self.main = max(self.main, sizes.main)
        self.model_server = max(self.model_server, sizes.model_server)
        self.together = max(self.together, sizes.together)


class Family:
    """A process and all that it has started, its model server told apart by the command."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._members: list[psutil.Process] = [self._root]
        self._looks = 0

    def resident(self) -> Sizes:
        """Resident set sizes."""
        if self._looks % _LOOKS_PER_SEARCH == 0:
            with suppress(psutil.NoSuchProcess):
                self._members = [self._root, *self._root.children(recursive=True)]
        self._looks += 1
        return self._sizes(lambda process: process.memory_info().rss)

    def proportional(self) -> Sizes:
        """Proportional set sizes of the same processes."""
        return self._sizes(lambda process: process.memory_full_info().pss)

    def _sizes(self, read: Callable[[psutil.Process], int]) -> Sizes:
        totals = {False: 0, True: 0}
        for process in self._members:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it has ended meanwhile
                totals[is_model_server(process.cmdline())] += read(process)
        return Sizes(totals[False], totals[True])


def is_model_server(command: list[str]) -> bool:
    """Ours, or TensorFlow's."""
    module = command[command.index("-m") + 1 :][:1] if "-m" in command else []
    program = command[0].rpartition("/")[2] if command else ""
    return module == ["serving"] or program == "tensorflow_model_server"


@contextmanager
def measured(
    pid: int,
    *,
    stop_above_bytes: int,
    stop: Callable[[], None],
    interval_seconds: float = _INTERVAL_SECONDS,
) -> Iterator[Peaks]:
    """Watch a process and its children while the block runs.

    Args:
        pid: of the process.
        stop_above_bytes: when all of them together hold more, `stop` is called once.
        stop: ends the process.
        interval_seconds: between two looks, which cost CPU time.
    """
    peaks = Peaks()
    family = Family(pid)
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(interval_seconds):
            if not peaks.may_rise(family.resident()):
                continue
            peaks.add(family.proportional())
            if peaks.together > stop_above_bytes:
                stop()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        is_over.set()
        thread.join()
