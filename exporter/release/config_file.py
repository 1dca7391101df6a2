"""The file behind `models.config`: one writer at a time, and no reader that sees a part.

It is changed in place, never replaced: a file that is mounted into a container by itself stays the
old one there when another takes its name on the host, and inside of the container it cannot be
renamed over (EBUSY). So that a reader, and a kill at any instant, meets the old or the new text:

    old text           ─► old text, blank lines     grown to the length of the new one
    old text, blanks   ─► new text, blank lines     one write
    new text, blanks   ─► new text                  cut
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter import interruption
from exporter.errors import FailedError, UsageError


class ConfigFile:
    """A file that this process may change."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def read(self) -> str:
        """The text.

        Raises:
            FailedError: it is not UTF-8.
        """
        return _decoded(self._content(), self.path)

    def write(self, text: str) -> None:
        """Change the text, on disk too.

        Raises:
            FailedError: the disk is full, or the like; the text is the old one then.
        """
        old, new = self._content(), text.encode()
        try:
            with interruption.held():
                self._grow(len(old), len(new))
                os.pwrite(self._descriptor, new + b"\n" * (len(old) - len(new)), 0)
                os.ftruncate(self._descriptor, len(new))
                os.fsync(self._descriptor)
        except OSError as error:
            raise FailedError(f"cannot write {self.path}: {error.strerror}") from error

    def _grow(self, old: int, new: int) -> None:
        """Take the room while the old text still stands: a full disk must not cost half of it."""
        try:
            for position in range(old, new):  # each byte by itself: a short write is an error then
                os.pwrite(self._descriptor, b"\n", position)
        except OSError:
            os.ftruncate(self._descriptor, old)
            raise

    def _content(self) -> bytes:
        size = os.fstat(self._descriptor).st_size
        return os.pread(self._descriptor, size, 0)


def read(path: Path) -> str | None:
    """The text of a file that will not be changed; None: there is none.

    Raises:
        FailedError: it cannot be read.
    """
    try:
        return _decoded(path.read_bytes(), path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FailedError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[ConfigFile]:
    """Hold the file until the context is left, so that two commands do not mix their steps.

    Args:
        path: the file.
        on_wait: called once if somebody else holds it.

    Raises:
        UsageError: there is no such file.
        FailedError: it cannot be written.
    """
    descriptor = _open(path)
    try:
        with suppress(OSError):  # a file system without locks: then without
            _lock(descriptor, on_wait)
        if not _is_same(descriptor, path):
            raise FailedError(f"{path} was replaced meanwhile; try again")
        yield ConfigFile(path, descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no {path}; name the file that the model server reads: --config FILE"
        ) from error
    except OSError as error:
        raise FailedError(f"cannot write {path}: {error.strerror}") from error


def _lock(descriptor: int, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FailedError(f"{path} is not UTF-8 text") from error
